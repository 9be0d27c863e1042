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

#define SITE_KEYWORDS "smtpd_discard_ehlo_keywords"

struct site {
    struct postfix postfix;
    const struct settings *settings;
    const char *conf_file; /* the path, whether it exists or not */
    bool conf_exists, conf_asked;
    struct hook hooks[HOOK_COUNT];
};

/* Opens both by the options --config-dir and --config-file. EXIT_DONE, or the exit code after
 * saying what is wrong. */
enum exit_code site_open(struct site *site, const struct invocation *invocation)
    __attribute__((warn_unused_result));
void site_close(struct site *site);

/* "bdatctl COMMAND" with -s, -c and -f as they were given, to be shown; the caller frees. */
char *site_command(const struct site *site, const struct ctl *ctl, const char *command);

/* The keywords that smtpd_discard_ehlo_keywords names in main.cf or for an smtpd(8) service in
 * master.cf, one list of all. The caller frees. */
char *site_discarded_keywords(const struct site *site);

/* Connects to a Unix socket (a path of the file system): 0 if a process listens there, or the
 * errno. */
int site_connect(const char *path);

#endif
