/* status: one screen that says whether all is well. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "ctl/actions.h"
#include "ctl/show.h"
#include "ctl/text.h"

#define LABEL_COLUMNS 12

static void print_label(const struct ctl *ctl, const char *label)
{
    fputs(style_begin(ctl->colour, TONE_BOLD), stdout);
    text_pad(stdout, label, LABEL_COLUMNS, false);
    fputs(style_end(ctl->colour, TONE_BOLD), stdout);
}

/* One line of JSON numbers: "12 match, 3 stalled"; zeros are left out unless all are. */
static void print_counts(const struct ctl *ctl, const char *label, const json_t *counts,
                         bool verdicts)
{
    const char *name, *between = "";
    const json_t *value;
    print_label(ctl, label);
    json_object_foreach((json_t *)counts, name, value)
    {
        if (!json_is_number(value) || json_number_value(value) == 0)
            continue;
        char *number = text_number((int64_t)json_number_value(value)), *safe = text_safe(name, 0);
        enum tone tone = verdicts ? style_verdict(name) : TONE_PLAIN;
        printf("%s%s%s %s%s", between, style_begin(ctl->colour, tone), number, safe,
               style_end(ctl->colour, tone));
        free(number);
        free(safe);
        between = ", ";
    }
    puts(*between == '\0' ? "none" : "");
}

/* True once the milter has seen that Sendmail is at the other end. */
static bool is_sendmail(const json_t *hooks)
{
    return strcmp(json_get_text(json_object_get(hooks, "milter"), "mta"), "sendmail") == 0;
}

static void print_hook(const struct ctl *ctl, const json_t *hooks, const char *name,
                       const char *what)
{
    const json_t *hook = json_object_get(hooks, name);
    char *seen = show_time(hook, "last_seen");
    char *errors = show_number(hook, "errors");
    char *count = text_number((int64_t)json_get_number(hook, what, 0));
    char *open = text_count((int64_t)json_get_number(hook, "connections", 0), "connection");
    print_label(ctl, name);
    if (*seen == '\0' && is_sendmail(hooks) && strcmp(name, "milter") != 0)
        puts("not used: Sendmail has none");
    else if (*seen == '\0')
        printf("%snever asked%s: Postfix is not attached (bdatctl attach), or had no mail yet\n",
               style_begin(ctl->colour, TONE_WARN), style_end(ctl->colour, TONE_WARN));
    else
        printf("%s, %s %s, %s%slast %s\n", open, count, what,
               strcmp(errors, "-") == 0 || strcmp(errors, "0") == 0 ? "" : errors,
               strcmp(errors, "-") == 0 || strcmp(errors, "0") == 0 ? "" : " errors, ", seen);
    free(seen);
    free(errors);
    free(count);
    free(open);
}

static void print_store(const struct ctl *ctl, const json_t *store)
{
    char *type = text_safe(json_get_text(store, "type"), false);
    char *state = text_safe(json_get_text(store, "state"), false);
    char *error = text_safe(json_get_text(store, "error"), false);
    enum tone tone = strcmp(state, "degraded") == 0 ? TONE_BAD : TONE_PLAIN;
    print_label(ctl, "store");
    printf("%s, %s%s%s%s%s", type, style_begin(ctl->colour, tone), state,
           style_end(ctl->colour, tone), *error ? ": " : "", error);
    double dropped = json_get_number(store, "dropped", 0);
    if (dropped > 0)
        printf(", %.0f records dropped", dropped);
    putchar('\n');
    free(type);
    free(state);
    free(error);
}

static void print_head(const struct ctl *ctl, const json_t *status)
{
    const json_t *config = json_object_get(status, "config");
    char *uptime = text_duration(json_get_number(status, "uptime_seconds", 0));
    char *head = text_format("bdat-milter %s, mode %s, up %s", json_get_text(status, "version"),
                             json_get_text(status, "mode"), uptime);
    char *safe = text_safe(head, false);
    puts(safe);
    free(safe);
    free(head);
    free(uptime);
    char *loaded = show_time(config, "loaded");
    head = text_format("%s, read %s: %s", json_get_text(config, "file"), loaded,
                       json_get_text(config, "outcome"));
    safe = text_safe(head, false);
    print_label(ctl, "config");
    puts(safe);
    free(safe);
    free(head);
    free(loaded);
}

static void print_sessions(const struct ctl *ctl, const json_t *sessions)
{
    char *active = text_number((int64_t)json_get_number(sessions, "active", 0));
    char *total = text_number((int64_t)json_get_number(sessions, "total", 0));
    print_label(ctl, "sessions");
    printf("%s now, %s in all (%.0f by BDAT, %.0f by DATA, %.0f by both, %.0f without mail, "
           "%.0f unverified)\n",
           active, total, json_get_number(sessions, "bdat", 0),
           json_get_number(sessions, "data", 0), json_get_number(sessions, "mixed", 0),
           json_get_number(sessions, "none", 0), json_get_number(sessions, "unverified", 0));
    free(active);
    free(total);
}

static void print_octets(const struct ctl *ctl, const json_t *status)
{
    char *chunks = text_count((int64_t)json_get_number(status, "chunks", 0), "chunk");
    char *declared = text_number((int64_t)json_get_number(status, "declared_octets", 0));
    char *received = text_number((int64_t)json_get_number(status, "received_octets", 0));
    print_label(ctl, "octets");
    printf("%s, %s declared, %s received\n", chunks, declared, received);
    free(chunks);
    free(declared);
    free(received);
    print_label(ctl, "clients");
    printf("%.0f suppressed, %.0f with path trouble\n",
           json_get_number(status, "suppressed_clients", 0),
           json_get_number(status, "path_trouble_clients", 0));
    print_label(ctl, "guard");
    char *replaced = text_count(
        (int64_t)json_get_number(json_object_get(status, "guard"), "replaced", 0), "command");
    printf("%s kept from Postfix\n", replaced);
    free(replaced);
}

static void print_warnings(const struct ctl *ctl, const json_t *warnings)
{
    size_t index;
    const json_t *warning;
    json_array_foreach(warnings, index, warning)
    {
        const char *text = json_string_value(warning);
        char *safe = text_safe(text == NULL ? "" : text, false);
        printf("%swarning%s     %s\n", style_begin(ctl->colour, TONE_WARN),
               style_end(ctl->colour, TONE_WARN), safe);
        free(safe);
    }
}

enum exit_code run_status(const struct ctl *ctl, const struct invocation *invocation)
{
    (void)invocation;
    json_t *status;
    enum exit_code code = daemon_get(ctl, "/v1/status", &status);
    if (code != EXIT_DONE)
        return code;
    if (ctl->json) {
        daemon_print_json(status);
    } else {
        const json_t *hooks = json_object_get(status, "hooks");
        print_head(ctl, status);
        print_sessions(ctl, json_object_get(status, "sessions"));
        print_counts(ctl, "transfers", json_object_get(status, "transfers"), true);
        print_counts(ctl, "actions", json_object_get(status, "actions"), false);
        print_octets(ctl, status);
        print_hook(ctl, hooks, "milter", "sessions");
        print_hook(ctl, hooks, "tables", "lookups");
        print_hook(ctl, hooks, "policy", "requests");
        print_store(ctl, json_object_get(status, "store"));
        print_warnings(ctl, json_object_get(status, "warnings"));
    }
    json_decref(status);
    return EXIT_DONE;
}
