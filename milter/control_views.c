#include "config.h"

#include "milter/control_views.h"

#include <stdio.h>
#include <string.h>

#include "milter/clock.h"
#include "milter/filter.h"
#include "milter/json.h"

static json_t *integer(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *view_session_counts(const struct app *app)
{
    struct session_counts counts = sessions_counts(app->sessions);
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "active", integer(counts.active),
                     "total", integer(counts.total), "bdat",
                     integer(counts.modes[SESSION_BDAT]), "data",
                     integer(counts.modes[SESSION_DATA]), "mixed",
                     integer(counts.modes[SESSION_MIXED]), "none",
                     integer(counts.modes[SESSION_NONE]), "unverified",
                     integer(counts.unverified));
}

static json_t *view_transfer_counts(const struct record_counts *counts)
{
    json_t *object = json_object();
    for (int i = 0; i < VERDICT_COUNT; i++)
        json_object_set_new(object, verdict_name((enum verdict)i), integer(counts->verdicts[i]));
    return object;
}

static json_t *view_action_counts(const struct record_counts *counts)
{
    json_t *object = json_object();
    for (int i = 0; i < ACTION_COUNT; i++)
        json_object_set_new(object, action_name((enum action)i), integer(counts->actions[i]));
    return object;
}

static json_t *view_hooks(const struct app *app)
{
    struct filter_counts milter = filter_counts();
    struct tables_counts tables = tables_counts(app->tables);
    struct policy_counts policy = policy_counts(app->policy);
    return json_pack(
        "{s:{s:o, s:o, s:o, s:s}, s:{s:o, s:o, s:o, s:o}, s:{s:o, s:o, s:o, s:o}}", "milter",
        "connections", integer(milter.connections), "sessions", integer(milter.sessions),
        "last_seen", json_time(milter.last_seen_ms), "mta", mta_name(milter.mta), "tables",
        "connections", integer(tables.connections), "lookups", integer(tables.lookups), "errors",
        integer(tables.errors), "last_seen", json_time(tables.last_seen_ms), "policy",
        "connections", integer(policy.connections), "requests", integer(policy.requests),
        "errors", integer(policy.errors), "last_seen", json_time(policy.last_seen_ms));
}

static json_t *view_store(const struct app *app)
{
    struct store_status status;
    if (app->store == NULL)
        return json_pack("{s:s, s:s, s:n, s:i, s:i}", "type", "none", "state", "off", "error",
                         "queued", 0, "dropped", 0);
    store_status(app->store, &status);
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "type", "sqlite", "state",
                     status.degraded ? "degraded" : "ok", "error",
                     status.degraded ? json_string(status.reason) : json_null(), "queued",
                     integer(status.pending_clients + status.pending_incidents), "dropped",
                     integer(status.incidents_dropped), "failures", integer(status.failures),
                     "files_set_aside", integer(status.files_set_aside));
}

/* The options whose value in the file waits for a restart. */
static json_t *list_restarts(const struct app *app)
{
    json_t *list = json_array();
    const char *name;
    size_t cursor = 0;
    while ((name = settings_next_restart(app->initial, app->settings, &cursor)) != NULL)
        json_array_append_new(list, json_string(name));
    return list;
}

static void warn_restarts(const struct app *app, json_t *warnings)
{
    json_t *list = list_restarts(app);
    size_t index;
    const json_t *name;
    json_array_foreach(list, index, name)
        json_array_append_new(warnings,
                              json_sprintf("%s: the value in the configuration file takes effect "
                                           "after a restart only", json_string_value(name)));
    json_decref(list);
}

static json_t *view_warnings(const struct app *app)
{
    json_t *list = json_array();
    const char *hint = sessions_hint(app->sessions);
    if (hint != NULL)
        json_array_append_new(list, json_string(hint));
    if (app->loaded.failed)
        json_array_append_new(
            list, json_sprintf("the last reload failed, the configuration before it is in "
                               "force: %s", app->loaded.text));
    warn_restarts(app, list);
    struct store_status status;
    if (app->store != NULL) {
        store_status(app->store, &status);
        if (status.degraded)
            json_array_append_new(list, json_sprintf("the store is degraded, decisions are made "
                                                     "from memory: %s", status.reason));
    }
    return list;
}

json_t *view_status(const struct app *app)
{
    const struct record_counts *counts = recorder_counts(app->recorder);
    struct suppression_counts clients = suppression_counts(app->suppression);
    json_t *object = json_pack(
        "{s:s, s:s, s:o, s:I, s:o, s:o, s:o}", "version", PACKAGE_VERSION, "mode",
        app->settings->mode == MODE_OBSERVE ? "observe" : "enforce", "started",
        json_time(app->started_wall_ms), "uptime_seconds",
        (json_int_t)((clock_monotonic_ms() - app->started_ms) / 1000), "sessions",
        view_session_counts(app), "transfers", view_transfer_counts(counts), "actions",
        view_action_counts(counts));
    json_t *rest = json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "chunks", integer(counts->chunks),
        "declared_octets", integer(counts->declared_octets), "received_octets",
        integer(counts->received_octets), "data_transfers", integer(counts->data_transfers),
        "suppressed_clients", integer(clients.states[CLIENT_SUPPRESSED]), "path_trouble_clients",
        integer(clients.states[CLIENT_PATH_TROUBLE]), "hooks", view_hooks(app));
    json_t *more = json_pack(
        "{s:{s:s?, s:o, s:s}, s:o, s:{s:o}, s:o}", "config", "file", app->config_path, "loaded",
        json_time(app->loaded.wall_ms), "outcome", app->loaded.text, "store", view_store(app),
        "guard", "replaced", integer(sessions_counts(app->sessions).guarded), "warnings",
        view_warnings(app));
    if (object == NULL || rest == NULL || more == NULL ||
        json_object_update(object, rest) != 0 || json_object_update(object, more) != 0) {
        json_decref(object);
        object = NULL;
    }
    json_decref(rest);
    json_decref(more);
    return object;
}

static enum chunking find_pin(const struct app *app, const struct address *client)
{
    return settings_match_rules(app->settings, client).chunking;
}

json_t *view_client(const struct app *app, const struct address *client)
{
    struct client_record record = {0};
    if (!suppression_find(app->suppression, client, clock_wall_ms() / 1000, &record)) {
        if (find_pin(app, client) == CHUNKING_ADAPTIVE)
            return NULL;
        record.client = network_around(client, app->settings->suppression.ipv4_prefix,
                                       app->settings->suppression.ipv6_prefix);
        record.last_verdict = VERDICT_NONE;
    }
    return json_pack("{s:[o]}", "clients", json_client(&record, find_pin(app, client)));
}

json_t *view_config(const struct app *app)
{
    json_t *list = json_array();
    struct option_view view, initial;
    for (size_t i = 0; i < settings_option_count(); i++) {
        settings_option_view(app->settings, i, &view);
        settings_option_view(app->initial, i, &initial);
        json_array_append_new(list,
                              json_option(&view, view.reloadable ? view.value : initial.value));
    }
    return json_pack("{s:s?, s:o}", "file", app->config_path, "options", list);
}

json_t *view_reload(const struct app *app)
{
    return json_pack("{s:s, s:o}", "outcome", "ok", "restart_needed", list_restarts(app));
}

const char *view_trouble(const struct app *app)
{
    static const char *const missing[SOCKET_COUNT] = {
        [SOCKET_MILTER] = "the milter's socket has been removed or replaced; restart the daemon\n",
        [SOCKET_TABLES] = "the tables' socket has been removed or replaced; restart the daemon\n",
        [SOCKET_POLICY] = "the policy's socket has been removed or replaced; restart the daemon\n",
    };
    if (!filter_is_running())
        return "libmilter has stopped\n";
    for (size_t i = 0; i < SOCKET_COUNT; i++)
        if (missing[i] != NULL && !listener_is_in_place(&app->listeners[i], &app->places[i]))
            return missing[i];
    return NULL;
}
