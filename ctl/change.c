/* suppress, release, reload: what changes the running daemon. */
#include "config.h"

#include <stdlib.h>

#include "ctl/actions.h"
#include "ctl/show.h"
#include "ctl/text.h"
#include "milter/suppression.h"
#include "milter/units.h"

/* Posts to /v1/clients/ADDRESS/VERB and shows the client as it is then. */
static enum exit_code change_client(const struct ctl *ctl, const char *address, const char *verb,
                                    const char *duration, const char *reason)
{
    char *segment = daemon_segment(address);
    char *resource = text_format("/v1/clients/%s/%s", segment, verb);
    char *path = daemon_path(resource, "for", duration, "reason", reason);
    json_t *answer;
    enum exit_code code = daemon_post(ctl, path, &answer);
    free(path);
    free(resource);
    free(segment);
    if (code != EXIT_DONE)
        return code;
    if (ctl->json)
        daemon_print_json(answer);
    else
        show_clients(ctl, json_object_get(answer, "clients"), "done");
    json_decref(answer);
    return EXIT_DONE;
}

static bool is_hold(const char *text)
{
    int64_t seconds = 0;
    return units_parse_time(text, &seconds) == UNITS_OK && seconds > 0 &&
           seconds <= SUPPRESSION_HOLD_MAX;
}

enum exit_code run_suppress(const struct ctl *ctl, const struct invocation *invocation)
{
    const char *duration = invocation_value(invocation, "for");
    if (duration != NULL && !is_hold(duration)) {
        ctl_complain(
            "--for wants a time like 90m, 12h or 30d, from 1s to " SUPPRESSION_HOLD_MAX_TEXT
            ", not \"%s\"",
            duration);
        return EXIT_USAGE;
    }
    return change_client(ctl, invocation->arguments[0], "suppress", duration,
                         invocation_value(invocation, "reason"));
}

enum exit_code run_release(const struct ctl *ctl, const struct invocation *invocation)
{
    return change_client(ctl, invocation->arguments[0], "release", NULL, NULL);
}

static void print_restarts(const json_t *names)
{
    size_t index;
    const json_t *name;
    json_array_foreach(names, index, name)
    {
        char *safe = text_safe(json_is_string(name) ? json_string_value(name) : "?", false);
        printf("%s takes effect after a restart only: systemctl restart bdat-milter\n", safe);
        free(safe);
    }
}

enum exit_code run_reload(const struct ctl *ctl, const struct invocation *invocation)
{
    (void)invocation;
    json_t *answer;
    enum exit_code code = daemon_post(ctl, "/v1/reload", &answer);
    if (code != EXIT_DONE)
        return code;
    if (ctl->json) {
        daemon_print_json(answer);
    } else {
        char *outcome = text_safe(json_get_text(answer, "outcome"), false);
        printf("reloaded: %s\n", outcome);
        free(outcome);
        print_restarts(json_object_get(answer, "restart_needed"));
    }
    json_decref(answer);
    return EXIT_DONE;
}
