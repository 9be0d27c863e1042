/*
 * How attach and detach go about it: what --print, --yes and the like ask for.
 */
#ifndef BDAT_CTL_MANNER_H
#define BDAT_CTL_MANNER_H

#include <stdbool.h>

#include "ctl/site.h"

struct manner {
    bool print, yes, force, no_reload;
    bool json; /* what is written is one JSON object; the question goes to standard error */
};

struct manner manner_read(const struct ctl *ctl, const struct invocation *invocation);

/* Asks the question, unless --yes; false, which it says, if the answer is no. */
bool manner_confirm(const struct manner *manner, const char *question);

/* Reloads a Postfix that runs, unless --no-reload. 0, or -1 after saying what is wrong. */
int manner_reload_postfix(const struct manner *manner, const struct postfix *postfix)
    __attribute__((warn_unused_result));

/* A daemon that runs reads its file again; one that does not will at its start. */
void manner_reload_daemon(const struct ctl *ctl);

#endif
