/*
 * Services of master.cf (-o) that set the parameter of a hook for themselves, and so keep from
 * their mail what main.cf says.
 */
#ifndef BDAT_CTL_OVERRIDE_H
#define BDAT_CTL_OVERRIDE_H

#include "ctl/site.h"

/* What the service sets in place of ours, as written; NULL if it sets nothing, or names ours too.
 * The caller frees. */
char *override_without_ours(const struct site *site, const struct postfix_service *service,
                            const struct hook *hook);

/* The commands that attach a service which sets `value`, to the end of having Postfix take it. A
 * value that postconf -P cannot write, for its white space, gets a parameter of its own in main.cf.
 * NULL where nothing can be added: a command filter stands there already, and Postfix takes only
 * one. The caller frees. */
char *override_attach(const struct site *site, const struct postfix_service *service,
                      const struct hook *hook, const char *value);

/* The command that removes what the service sets. The caller frees. */
char *override_remove(const struct site *site, const struct postfix_service *service,
                      const struct hook *hook);

#endif
