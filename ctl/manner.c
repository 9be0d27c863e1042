#include "config.h"

#include "ctl/manner.h"

#include <stdio.h>

struct manner manner_read(const struct ctl *ctl, const struct invocation *invocation)
{
    return (struct manner){.print = invocation_value(invocation, "print") != NULL,
                           .yes = invocation_value(invocation, "yes") != NULL,
                           .force = invocation_value(invocation, "force") != NULL,
                           .no_reload = invocation_value(invocation, "no-reload") != NULL,
                           .json = ctl->json};
}

bool manner_confirm(const struct manner *manner, const char *question)
{
    char line[16];
    if (manner->yes)
        return true;
    fprintf(manner->json ? stderr : stdout, "%s [y/N] ", question);
    fflush(stdout);
    if (fgets(line, sizeof(line), stdin) == NULL)
        line[0] = '\0';
    if (line[0] == 'y' || line[0] == 'Y')
        return true;
    ctl_complain("nothing was changed (answer y, or use --yes)");
    return false;
}

int manner_reload_postfix(const struct manner *manner, const struct postfix *postfix)
{
    if (manner->no_reload || !postfix_is_running(postfix))
        return 0;
    return postfix_reload(postfix);
}

void manner_reload_daemon(const struct ctl *ctl)
{
    json_t *answer = NULL;
    if (daemon_answers(ctl) && daemon_post(ctl, "/v1/reload", &answer) == EXIT_DONE)
        json_decref(answer);
}
