/* suppress, release, reload: what changes the running daemon. */
#include "config.h"

#include <stdlib.h>

#include "ctl/actions.h"
#include "ctl/show.h"
#include "ctl/text.h"

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

enum exit_code run_suppress(const struct ctl *ctl, const struct invocation *invocation)
{
    const char *duration = invocation_value(invocation, "for");
    if (duration != NULL && !command_is_time(duration)) {
        ctl_complain("--for wants a time like 90m, 12h or 30d, not \"%s\"", duration);
        return EXIT_USAGE;
    }
    return change_client(ctl, invocation->arguments[0], "suppress", duration,
                         invocation_value(invocation, "reason"));
}

enum exit_code run_release(const struct ctl *ctl, const struct invocation *invocation)
{
    return change_client(ctl, invocation->arguments[0], "release", NULL, NULL);
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
    }
    json_decref(answer);
    return EXIT_DONE;
}
