/*
 * One Postfix instance and one bdat-milter.conf: what attach, detach and check work on.
 */
#ifndef BDAT_CTL_SITE_H
#define BDAT_CTL_SITE_H

#include "ctl/command.h"
#include "ctl/hooks.h"
#include "ctl/postfix.h"
#include "milter/settings.h"

/* Where bdat-milter.conf is unless -f says otherwise. */
#define SITE_DEFAULT_CONF SYSCONFDIR "/bdat-milter.conf"

struct site {
    struct postfix postfix;
    const struct settings *settings;
    const char *conf_file; /* the path, whether it exists or not */
    bool conf_exists;
    struct hook hooks[HOOK_COUNT];
};

/* Opens both by the options --config-dir and --config-file. EXIT_DONE, or the exit code after
 * saying what is wrong. */
enum exit_code site_open(struct site *site, const struct invocation *invocation)
    __attribute__((warn_unused_result));
void site_close(struct site *site);

/* True if a process listens on that Unix socket (a path of the file system). */
bool site_listens(const char *path);

#endif
