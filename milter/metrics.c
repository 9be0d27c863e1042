#include "config.h"

#include "milter/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "milter/filter.h"
#include "milter/histogram.h"

#define NAMESPACE "bdat_milter_"

enum metric_type { COUNTER, GAUGE, HISTOGRAM };

/* One metric of the daemon's own; its name without the namespace. */
static void begin(FILE *out, enum metric_type type, const char *name, const char *help)
{
    static const char *const types[] = {
        [COUNTER] = "counter", [GAUGE] = "gauge", [HISTOGRAM] = "histogram"};
    fprintf(out, "# HELP " NAMESPACE "%s %s\n# TYPE " NAMESPACE "%s %s\n", name, help, name,
            types[type]);
}

/* One sample of it; labels are words of ours and need no escapes. */
static void add(FILE *out, const char *name, const char *label, const char *value, uint64_t number)
{
    fprintf(out, NAMESPACE "%s{%s=\"%s\"} %" PRIu64 "\n", name, label, value, number);
}

static void write_one(FILE *out, enum metric_type type, const char *name, const char *help,
                      uint64_t number)
{
    begin(out, type, name, help);
    fprintf(out, NAMESPACE "%s %" PRIu64 "\n", name, number);
}

/* A wall time; 0 = never. */
static void add_time(FILE *out, const char *name, const char *labels, int64_t wall_ms)
{
    fprintf(out, NAMESPACE "%s%s %" PRId64 ".%03d\n", name, labels, wall_ms / 1000,
            (int)(wall_ms % 1000));
}

/* `label` is "table=\"ehlo\"", or "". */
static void add_histogram(FILE *out, const char *name, const char *label,
                          const struct histogram *histogram)
{
    const char *comma = label[0] != '\0' ? "," : "";
    const char *open = label[0] != '\0' ? "{" : "", *close = label[0] != '\0' ? "}" : "";
    for (size_t i = 0; i < histogram->scale->count; i++)
        fprintf(out, NAMESPACE "%s_bucket{%s%sle=\"%s\"} %" PRIu64 "\n", name, label, comma,
                histogram->scale->buckets[i].text, histogram_count_upto(histogram, i));
    fprintf(out, NAMESPACE "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", name, label, comma,
            histogram->count);
    fprintf(out, NAMESPACE "%s_sum%s%s%s %.9g\n", name, open, label, close,
            histogram_sum(histogram));
    fprintf(out, NAMESPACE "%s_count%s%s%s %" PRIu64 "\n", name, open, label, close,
            histogram->count);
}

/* One of a family of histograms that a label tells apart. */
static void add_labelled(FILE *out, const char *name, const char *label, const char *value,
                         const struct histogram *histogram)
{
    char text[64];
    snprintf(text, sizeof(text), "%s=\"%s\"", label, value);
    add_histogram(out, name, text, histogram);
}

static void write_histogram(FILE *out, const char *name, const char *help,
                            const struct histogram *histogram)
{
    begin(out, HISTOGRAM, name, help);
    add_histogram(out, name, "", histogram);
}

static void write_transfers(FILE *out, const struct record_counts *counts)
{
    begin(out, COUNTER, "transfers_total", "BDAT transfers by verdict.");
    for (int i = 0; i < VERDICT_COUNT; i++)
        add(out, "transfers_total", "verdict", verdict_name((enum verdict)i), counts->verdicts[i]);
    begin(out, COUNTER, "actions_total", "Answers to BDAT transfers by action.");
    for (int i = 0; i < ACTION_COUNT; i++)
        add(out, "actions_total", "action", action_name((enum action)i), counts->actions[i]);
    write_one(out, COUNTER, "data_transfers_total", "Messages sent by DATA.",
              counts->data_transfers);
    write_one(out, COUNTER, "chunks_total", "Chunks of judged BDAT transfers.", counts->chunks);
    write_one(out, COUNTER, "declared_bytes_total",
              "Octets that clients declared in judged BDAT transfers.", counts->declared_octets);
    write_one(out, COUNTER, "received_bytes_total",
              "Octets that Postfix counted of judged BDAT transfers.", counts->received_octets);
    write_histogram(out, "transfer_duration_seconds",
                    "BDAT transfers from the first chunk to the verdict.", &counts->durations);
    write_histogram(out, "chunk_size_bytes",
                    "Declared sizes of the first 64 chunks of each BDAT transfer.",
                    &counts->chunk_sizes);
}

static void write_sessions(FILE *out, const struct app *app)
{
    struct session_counts counts = sessions_counts(app->sessions);
    begin(out, COUNTER, "sessions_total",
          "SMTP sessions that are over, by how they sent their messages.");
    for (int i = 0; i < SESSION_MODES; i++)
        add(out, "sessions_total", "mode", session_mode_name((enum session_mode)i), counts.over[i]);
    write_one(out, GAUGE, "sessions_active", "SMTP sessions now.", counts.active);
    write_one(out, COUNTER, "unverified_sessions_total",
              "SMTP sessions with a message that could not be checked.", counts.unverified);
    write_one(out, COUNTER, "guard_replacements_total", "Commands that were kept from Postfix.",
              counts.guarded);
}

static void write_clients(FILE *out, const struct app *app)
{
    struct suppression_counts counts = suppression_counts(app->suppression);
    begin(out, GAUGE, "clients", "Client networks that are remembered, by state.");
    for (int i = 0; i < CLIENT_STATE_COUNT; i++)
        add(out, "clients", "state", client_state_name((enum client_state)i), counts.states[i]);
    write_one(out, GAUGE, "suppressed_clients",
              "Client networks that are not offered CHUNKING for now.",
              counts.states[CLIENT_SUPPRESSED]);
    write_one(out, GAUGE, "path_trouble_clients",
              "Client networks that fail with DATA as well as with BDAT.",
              counts.states[CLIENT_PATH_TROUBLE]);
    write_one(out, COUNTER, "clients_evicted_total",
              "Client networks that were forgotten for lack of room (suppression.max_clients).",
              counts.evicted);
    write_one(out, GAUGE, "clients_memory_bytes", "Memory in use for client networks.",
              counts.octets);
}

static void write_lookups(FILE *out, const struct app *app)
{
    begin(out, HISTOGRAM, "lookup_duration_seconds",
          "Table lookups from the request read to the answer sent.");
    for (int i = 0; i < TABLE_COUNT; i++)
        add_labelled(out, "lookup_duration_seconds", "table", table_name((enum table)i),
                     tables_durations(app->tables, (enum table)i));
    begin(out, HISTOGRAM, "policy_request_duration_seconds",
          "Policy requests from the request read to the answer sent.");
    for (int i = 0; i < POLICY_STATE_COUNT; i++)
        add_labelled(out, "policy_request_duration_seconds", "state",
                     policy_state_name((enum policy_state)i),
                     policy_durations(app->policy, (enum policy_state)i));
}

static void write_hooks(FILE *out, const struct app *app)
{
    struct filter_counts milter = filter_counts();
    struct tables_counts tables = tables_counts(app->tables);
    struct policy_counts policy = policy_counts(app->policy);
    begin(out, GAUGE, "hook_connections", "Open connections of Postfix, by hook.");
    add(out, "hook_connections", "hook", "milter", milter.connections);
    add(out, "hook_connections", "hook", "tables", tables.connections);
    add(out, "hook_connections", "hook", "policy", policy.connections);
    begin(out, COUNTER, "hook_requests_total",
          "Milter sessions, table lookups and policy requests.");
    add(out, "hook_requests_total", "hook", "milter", milter.sessions);
    add(out, "hook_requests_total", "hook", "tables", tables.lookups);
    add(out, "hook_requests_total", "hook", "policy", policy.requests);
    begin(out, COUNTER, "hook_errors_total", "Requests that could not be understood.");
    add(out, "hook_errors_total", "hook", "tables", tables.errors);
    add(out, "hook_errors_total", "hook", "policy", policy.errors);
    begin(out, GAUGE, "hook_last_seen_timestamp_seconds",
          "When Postfix last used the hook; 0 if never since the start.");
    add_time(out, "hook_last_seen_timestamp_seconds", "{hook=\"milter\"}", milter.last_seen_ms);
    add_time(out, "hook_last_seen_timestamp_seconds", "{hook=\"tables\"}", tables.last_seen_ms);
    add_time(out, "hook_last_seen_timestamp_seconds", "{hook=\"policy\"}", policy.last_seen_ms);
}

static void write_store(FILE *out, const struct app *app)
{
    static const char *const states[] = {"ok", "degraded", "off"};
    struct store_status status = {0};
    if (app->store != NULL)
        store_status(app->store, &status);
    size_t state = app->store == NULL ? 2 : status.degraded ? 1 : 0;
    begin(out, GAUGE, "store_state", "1 for the state in which the store is.");
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
        add(out, "store_state", "state", states[i], i == state);
    begin(out, GAUGE, "store_pending", "What waits to be written.");
    add(out, "store_pending", "kind", "clients", status.pending_clients);
    add(out, "store_pending", "kind", "incidents", status.pending_incidents);
    begin(out, COUNTER, "store_written_total", "What has been written.");
    add(out, "store_written_total", "kind", "clients", status.clients_written);
    add(out, "store_written_total", "kind", "incidents", status.incidents_written);
    begin(out, COUNTER, "store_dropped_total",
          "What was not taken because the queue was full; clients are given again later.");
    add(out, "store_dropped_total", "kind", "clients", status.clients_left_out);
    add(out, "store_dropped_total", "kind", "incidents", status.incidents_dropped);
    write_one(out, COUNTER, "store_failures_total", "How often the file had to be given up.",
              status.failures);
}

static void write_daemon(FILE *out, const struct app *app)
{
    struct log_counts log = log_counts(app->log);
    bool enforce = app->settings->mode == MODE_ENFORCE;
    begin(out, GAUGE, "build_info", "Always 1; the version is a label.");
    add(out, "build_info", "version", PACKAGE_VERSION, 1);
    begin(out, GAUGE, "process_start_time_seconds", "When the daemon was started.");
    add_time(out, "process_start_time_seconds", "", app->started_wall_ms);
    begin(out, GAUGE, "mode", "1 for the mode in force.");
    add(out, "mode", "mode", "enforce", enforce);
    add(out, "mode", "mode", "observe", !enforce);
    write_one(out, GAUGE, "config_last_reload_successful",
              "1 if the configuration could be loaded the last time.", !app->loaded.failed);
    begin(out, GAUGE, "config_last_reload_timestamp_seconds",
          "When the configuration was last asked to be loaded.");
    add_time(out, "config_last_reload_timestamp_seconds", "", app->loaded.wall_ms);
    begin(out, GAUGE, "config_last_reload_success_timestamp_seconds",
          "When the configuration in force was loaded.");
    add_time(out, "config_last_reload_success_timestamp_seconds", "",
             app->loaded.succeeded_wall_ms);
    write_one(out, GAUGE, "followers", "Peers that follow transfers (bdatctl follow).",
              recorder_count_followers(app->recorder));
    write_one(out, GAUGE, "log_pending_messages", "Log messages that wait to be written.",
              log.waiting);
    write_one(out, COUNTER, "log_dropped_messages_total",
              "Log messages that were lost because the log takes them too slowly.", log.lost);
}

char *metrics_format(const struct app *app)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return NULL;
    write_transfers(out, recorder_counts(app->recorder));
    write_sessions(out, app);
    write_clients(out, app);
    write_lookups(out, app);
    write_hooks(out, app);
    write_store(out, app);
    write_daemon(out, app);
    if (fclose(out) != 0) {
        free(text);
        text = NULL;
    }
    return text;
}
