#include "config.h"

#include "ctl/top_view.h"

#include <stdlib.h>
#include <string.h>

#include "ctl/daemon.h"
#include "ctl/show.h"
#include "ctl/table.h"
#include "ctl/text.h"

void top_look_free(struct top_look *look)
{
    json_decref(look->status);
    json_decref(look->sessions);
    json_decref(look->clients);
    *look = (struct top_look){0};
}

/* Adds a line; `text` is freed. */
static void add(struct top_view *view, enum tone tone, char *text)
{
    view->lines = text_resize(view->lines, view->count + 1, sizeof(*view->lines));
    view->lines[view->count++] = (struct top_line){.text = text_safe(text, false), .tone = tone};
    free(text);
}

void top_view_free(struct top_view *view)
{
    for (size_t i = 0; i < view->count; i++)
        free(view->lines[i].text);
    free(view->lines);
    *view = (struct top_view){0};
}

/* True if both looks saw one run of the daemon, some time apart. */
static bool comparable(const struct top_look *before, const struct top_look *now)
{
    return before->status != NULL && now->status != NULL && now->at > before->at &&
           strcmp(json_get_text(before->status, "started"),
                  json_get_text(now->status, "started")) == 0 &&
           json_get_number(now->status, "uptime_seconds", 0) >=
               json_get_number(before->status, "uptime_seconds", 0);
}

static double rate(const json_t *before, const json_t *now, const char *name, double seconds)
{
    return (json_get_number(now, name, 0) - json_get_number(before, name, 0)) / seconds;
}

json_t *top_rates(const struct top_look *before, const struct top_look *now)
{
    if (!comparable(before, now))
        return NULL;
    double seconds = now->at - before->at;
    const json_t *then = json_object_get(before->status, "transfers");
    json_t *transfers = json_object();
    const char *verdict;
    json_t *count;
    json_object_foreach(json_object_get(now->status, "transfers"), verdict, count)
        json_object_set_new(
            transfers, verdict,
            json_real(rate(then, json_object_get(now->status, "transfers"), verdict, seconds)));
    return json_pack("{sfsfsfso}", "seconds", seconds, "sessions",
                     rate(json_object_get(before->status, "sessions"),
                          json_object_get(now->status, "sessions"), "total", seconds),
                     "octets", rate(before->status, now->status, "received_octets", seconds),
                     "transfers", transfers);
}

static char *rate_text(const json_t *rates, const char *name)
{
    return rates == NULL ? text_copy("-") : text_format("%.1f", json_get_number(rates, name, 0));
}

static void add_head(struct top_view *view, const struct top_look *now, const json_t *rates)
{
    const json_t *sessions = json_object_get(now->status, "sessions");
    char *uptime = text_duration(json_get_number(now->status, "uptime_seconds", 0));
    char *session_rate = rate_text(rates, "sessions"), *octet_rate = rate_text(rates, "octets");
    add(view, TONE_BOLD,
        text_format("bdat-milter %s  mode %s  up %s", json_get_text(now->status, "version"),
                    json_get_text(now->status, "mode"), uptime));
    add(view, TONE_PLAIN,
        text_format("sessions %.0f now, %s/s   octets %s/s   suppressed clients %.0f",
                    json_get_number(sessions, "active", 0), session_rate, octet_rate,
                    json_get_number(now->status, "suppressed_clients", 0)));
    free(uptime);
    free(session_rate);
    free(octet_rate);
}

static void add_warnings(struct top_view *view, const struct top_look *now)
{
    size_t index;
    const json_t *warning;
    json_array_foreach(json_object_get(now->status, "warnings"), index, warning)
    {
        const char *text = json_string_value(warning);
        add(view, TONE_WARN, text_format("warning: %s", text == NULL ? "" : text));
    }
}

static void add_verdicts(struct top_view *view, const struct top_look *now, const json_t *rates)
{
    const char *verdict;
    json_t *count;
    add(view, TONE_PLAIN, text_copy(""));
    add(view, TONE_BOLD, text_format("%-18s %12s %10s", "TRANSFERS", "TOTAL", "RATE/s"));
    json_object_foreach(json_object_get(now->status, "transfers"), verdict, count)
    {
        if (json_number_value(count) == 0)
            continue;
        char *number = text_number((int64_t)json_number_value(count));
        char *speed = rate_text(json_object_get(rates, "transfers"), verdict);
        add(view, style_verdict(verdict), text_format("%-18s %12s %10s", verdict, number, speed));
        free(number);
        free(speed);
    }
}

/* Adds a table line by line under a heading, its titles in bold. */
static void add_table(struct top_view *view, char *heading, struct table *table)
{
    char *text = NULL, *line, *rest;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    if (memory == NULL)
        abort();
    table_print(table, memory, false);
    fclose(memory);
    add(view, TONE_PLAIN, text_copy(""));
    add(view, TONE_BOLD, heading);
    rest = text;
    for (bool first = true; (line = strsep(&rest, "\n")) != NULL && *line != '\0'; first = false)
        add(view, first ? TONE_DIM : TONE_PLAIN, text_copy(line));
    free(text);
    table_free(&table);
}

static void add_sessions(struct top_view *view, const struct top_look *now, size_t rows)
{
    static const struct column columns[] = {
        {"PID", true},    {"CLIENT", false}, {"HELO", false},    {"MODE", false},
        {"STATE", false}, {"CHUNKS", true},  {"DECLARED", true},
    };
    const json_t *list = json_object_get(now->sessions, "sessions"), *session;
    struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
    size_t index;
    json_array_foreach(list, index, session)
    {
        if (index == rows)
            break;
        show_add_number(table, session, "pid");
        table_add(table, TONE_PLAIN, json_get_text(session, "client_address"));
        table_add(table, TONE_PLAIN, json_get_text(session, "helo"));
        table_add(table, TONE_PLAIN, json_get_text(session, "mode"));
        table_add(table, TONE_PLAIN, json_get_text(session, "state"));
        show_add_number(table, session, "chunks");
        show_add_number(table, session, "declared");
    }
    add_table(view, text_format("SESSIONS NOW (%zu)", json_array_size(list)), table);
}

/* Worst first: withheld before offered, then by strikes, then by address. */
static int compare_clients(const void *a, const void *b)
{
    const json_t *one = *(const json_t *const *)a, *other = *(const json_t *const *)b;
    int withheld = (strcmp(json_get_text(other, "state"), "suppressed") == 0) -
                   (strcmp(json_get_text(one, "state"), "suppressed") == 0);
    if (withheld != 0)
        return withheld;
    double strikes = json_get_number(other, "strikes", 0) - json_get_number(one, "strikes", 0);
    if (strikes != 0)
        return strikes > 0 ? 1 : -1;
    return strcmp(json_get_text(one, "client"), json_get_text(other, "client"));
}

/* A client without strikes that is offered CHUNKING has nothing to be listed for. */
static bool is_worth_a_line(const json_t *client)
{
    return json_get_number(client, "strikes", 0) > 0 ||
           strcmp(json_get_text(client, "state"), "offered") != 0;
}

static void add_clients(struct top_view *view, const struct top_look *now, size_t rows)
{
    static const struct column columns[] = {
        {"CLIENT", false},       {"STATE", false}, {"STRIKES", true}, {"UNTIL (UTC)", false},
        {"LAST-VERDICT", false}, {"BDAT", true},   {"DATA", true},
    };
    const json_t *list = json_object_get(now->clients, "clients"), *client;
    const json_t **sorted = text_resize(NULL, json_array_size(list), sizeof(*sorted));
    struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
    size_t index, count = 0;
    json_array_foreach(list, index, client) if (is_worth_a_line(client)) sorted[count++] = client;
    qsort(sorted, count, sizeof(*sorted), compare_clients);
    for (size_t i = 0; i < count && i < rows; i++) {
        table_add(table, TONE_PLAIN, json_get_text(sorted[i], "client"));
        table_add(table, TONE_PLAIN, json_get_text(sorted[i], "state"));
        show_add_number(table, sorted[i], "strikes");
        show_add_time(table, sorted[i], "until");
        table_add(table, TONE_PLAIN, json_get_text(sorted[i], "last_verdict"));
        show_add_number(table, sorted[i], "bdat_transfers");
        show_add_number(table, sorted[i], "data_transfers");
    }
    add_table(view, text_copy("WORST CLIENTS"), table);
    free(sorted);
}

struct top_view top_view_build(const struct top_look *before, const struct top_look *now,
                               size_t session_rows, size_t client_rows)
{
    struct top_view view = {0};
    if (now->status == NULL) {
        add(&view, TONE_BAD,
            text_copy("The daemon does not answer; waiting for it. "
                      "Try: systemctl status bdat-milter"));
        return view;
    }
    json_t *rates = top_rates(before, now);
    add_head(&view, now, rates);
    add_warnings(&view, now);
    add_verdicts(&view, now, rates);
    add_clients(&view, now, client_rows);
    add_sessions(&view, now, session_rows);
    json_decref(rates);
    return view;
}
