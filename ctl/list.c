/* sessions, transfers, clients, incidents, config: one question, one table. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "ctl/actions.h"
#include "ctl/show.h"
#include "ctl/text.h"

/* Asks `path`, which is freed; the answer is NULL where the code is not EXIT_DONE. */
static enum exit_code ask(const struct ctl *ctl, char *path, json_t **answer)
{
    *answer = NULL;
    enum exit_code code = daemon_get(ctl, path, answer);
    free(path);
    return code;
}

/* With --json prints the answer and drops it: then there is no table to make. */
static bool print_json(const struct ctl *ctl, json_t **answer)
{
    if (!ctl->json)
        return false;
    daemon_print_json(*answer);
    json_decref(*answer);
    *answer = NULL;
    return true;
}

static enum exit_code check_limit(const char *limit)
{
    if (limit == NULL ||
        (strspn(limit, "0123456789") == strlen(limit) && strlen(limit) < 10 && atol(limit) > 0))
        return EXIT_DONE;
    ctl_complain("--limit wants a number above 0, not \"%s\"", limit);
    return EXIT_USAGE;
}

enum exit_code run_sessions(const struct ctl *ctl, const struct invocation *invocation)
{
    static const struct column columns[] = {
        {"PID", true},          {"CLIENT", false},  {"HELO", false},
        {"SINCE (UTC)", false}, {"MODE", false},    {"STATE", false},
        {"CHUNKS", true},       {"DECLARED", true}, {"CHUNKING", false},
    };
    (void)invocation;
    json_t *answer;
    enum exit_code code = ask(ctl, text_copy("/v1/sessions"), &answer);
    if (answer == NULL || print_json(ctl, &answer))
        return code;
    struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
    size_t index;
    const json_t *session;
    json_array_foreach(json_object_get(answer, "sessions"), index, session)
    {
        bool offered = json_get_bool(session, "offered");
        show_add_number(table, session, "pid");
        table_add(table, TONE_PLAIN, json_get_text(session, "client_address"));
        table_add(table, TONE_PLAIN, json_get_text(session, "helo"));
        show_add_time(table, session, "since");
        table_add(table, TONE_PLAIN, json_get_text(session, "mode"));
        table_add(table, TONE_PLAIN, json_get_text(session, "state"));
        show_add_number(table, session, "chunks");
        show_add_number(table, session, "declared");
        table_add(table, offered ? TONE_GOOD : TONE_WARN, offered ? "offered" : "withheld");
    }
    if (table_rows(table) == 0)
        puts("No SMTP session is open now.");
    else
        table_print(table, stdout, ctl->colour);
    table_free(&table);
    json_decref(answer);
    return EXIT_DONE;
}

/* transfers and incidents differ in where they are asked and in what may narrow them. */
static enum exit_code list_transfers(const struct ctl *ctl, char *path, const char *member,
                                     const char *nothing, bool must_exist)
{
    json_t *answer;
    enum exit_code code = ask(ctl, path, &answer);
    if (answer == NULL)
        return code;
    const json_t *list = json_object_get(answer, member);
    if (must_exist && json_array_size(list) == 0)
        code = EXIT_NO;
    if (print_json(ctl, &answer))
        return code;
    show_transfers(ctl, list, nothing);
    json_decref(answer);
    return code;
}

enum exit_code run_transfers(const struct ctl *ctl, const struct invocation *invocation)
{
    const char *limit = invocation_value(invocation, "limit");
    const char *id = invocation_value(invocation, "queue-id");
    if (check_limit(limit) != EXIT_DONE)
        return EXIT_USAGE;
    char *path = daemon_path("/v1/transfers", "limit", limit, "client",
                             invocation_value(invocation, "client"), "verdict",
                             invocation_value(invocation, "verdict"), "queue_id", id);
    return list_transfers(ctl, path, "transfers",
                          id ? "No transfer of that queue id is remembered; older ones that went "
                               "wrong: bdatctl incidents"
                             : "No BDAT transfer that fits is remembered.",
                          id != NULL);
}

enum exit_code run_incidents(const struct ctl *ctl, const struct invocation *invocation)
{
    const char *limit = invocation_value(invocation, "limit");
    if (check_limit(limit) != EXIT_DONE)
        return EXIT_USAGE;
    char *path = daemon_path("/v1/incidents", "client", invocation_value(invocation, "client"),
                             "verdict", invocation_value(invocation, "verdict"), "since",
                             invocation_value(invocation, "since"), "limit", limit);
    return list_transfers(ctl, path, "incidents", "No incident that fits is on record.", false);
}

static enum exit_code show_one_client(const struct ctl *ctl, const char *address)
{
    char *segment = daemon_segment(address);
    char *path = text_format("/v1/clients/%s", segment);
    free(segment);
    json_t *answer;
    enum exit_code code = ask(ctl, path, &answer);
    if (answer == NULL || print_json(ctl, &answer))
        return code;
    show_clients(ctl, json_object_get(answer, "clients"), "Nothing is known of that client.");
    json_decref(answer);
    return EXIT_DONE;
}

enum exit_code run_clients(const struct ctl *ctl, const struct invocation *invocation)
{
    if (invocation->argument_count == 1)
        return show_one_client(ctl, invocation->arguments[0]);
    const char *limit = invocation_value(invocation, "limit");
    if (check_limit(limit) != EXIT_DONE)
        return EXIT_USAGE;
    json_t *answer;
    enum exit_code code = ask(
        ctl,
        daemon_path("/v1/clients", "state", invocation_value(invocation, "state"), "limit", limit),
        &answer);
    if (answer == NULL || print_json(ctl, &answer))
        return code;
    show_clients(ctl, json_object_get(answer, "clients"), "No client that fits is on record.");
    json_decref(answer);
    return EXIT_DONE;
}

/* An option's value as one would write it, whatever JSON type it has. */
static char *option_text(const json_t *option, const char *name)
{
    const json_t *value = json_object_get(option, name);
    if (json_is_string(value))
        return text_copy(json_string_value(value));
    char *dumped = value == NULL ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    char *text = text_copy(dumped == NULL ? "" : dumped);
    free(dumped);
    return text;
}

static bool is_set_by_file(const json_t *option)
{
    return json_get_number(option, "line", 0) > 0;
}

/* Leaves only what the configuration file sets. */
static void drop_unset(json_t *options)
{
    for (size_t i = json_array_size(options); i-- > 0;)
        if (!is_set_by_file(json_array_get(options, i)))
            json_array_remove(options, i);
}

/* When its value in the file counts: an option that wants a restart may wait for one. */
static void add_taken(struct table *table, const json_t *option, const char *value)
{
    char *now = option_text(option, "in_force");
    if (json_get_bool(option, "reloadable"))
        table_add(table, TONE_PLAIN, "reload");
    else if (*now == '\0' || strcmp(now, value) == 0)
        table_add(table, TONE_PLAIN, "restart");
    else
        table_addf(table, TONE_WARN, "the next restart; now it is %s", now);
    free(now);
}

static void add_option(struct table *table, const json_t *option)
{
    char *value = option_text(option, "value"), *preset = option_text(option, "default");
    bool is_set = is_set_by_file(option);
    table_add(table, is_set ? TONE_BOLD : TONE_PLAIN, json_get_text(option, "name"));
    table_add(table, strcmp(value, preset) == 0 ? TONE_PLAIN : TONE_BOLD, value);
    if (strcmp(value, preset) == 0)
        table_add(table, TONE_DIM, "(same)");
    else
        table_add(table, TONE_PLAIN, preset);
    if (is_set)
        table_addf(table, TONE_PLAIN, "%s:%.0f", json_get_text(option, "file"),
                   json_get_number(option, "line", 0));
    else
        table_add(table, TONE_DIM, "default");
    add_taken(table, option, value);
    free(value);
    free(preset);
}

enum exit_code run_config(const struct ctl *ctl, const struct invocation *invocation)
{
    static const struct column columns[] = {
        {"OPTION", false}, {"VALUE", false},    {"DEFAULT", false},
        {"SET", false},    {"TAKEN AT", false},
    };
    bool changed = invocation_value(invocation, "changed") != NULL;
    json_t *answer;
    enum exit_code code = ask(ctl, text_copy("/v1/config"), &answer);
    if (answer == NULL)
        return code;
    if (changed)
        drop_unset(json_object_get(answer, "options"));
    if (print_json(ctl, &answer))
        return code;
    struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
    size_t index;
    const json_t *option;
    json_array_foreach(json_object_get(answer, "options"), index, option) add_option(table, option);
    if (table_rows(table) == 0)
        puts("The configuration file sets nothing; every option has its default.");
    else
        table_print(table, stdout, ctl->colour);
    table_free(&table);
    json_decref(answer);
    return EXIT_DONE;
}
