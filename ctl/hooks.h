/*
 * The hooks that attach bdat-milter to Postfix: which parameter holds what, and in which order.
 *
 * Existing values stay. Where ours goes has a reason each time:
 * - smtpd_milters: in front. A filter before ours that changes the body would hide the message
 *   as it came over the wire, and a filter that rejects or discards would end it before ours.
 * - smtpd_discard_ehlo_keyword_address_maps: behind. The first map that knows the client decides;
 *   what the administrator wrote by hand for one client stays in force.
 * - smtpd_data_restrictions, smtpd_end_of_data_restrictions: in front. A list ends at the first
 *   permit; ours always answers DUNNO or a rejection, so what follows is asked as before.
 * - smtpd_command_filter takes one table only: set to something else it is left alone.
 */
#ifndef BDAT_CTL_HOOKS_H
#define BDAT_CTL_HOOKS_H

#include <stdbool.h>
#include <stddef.h>

#include "ctl/value.h"

#define HOOK_COUNT 5

/* What postscreen(8) asks in place of smtpd's map; by default the same. */
#define POSTSCREEN_MAPS "postscreen_discard_ehlo_keyword_address_maps"

enum hook_kind {
    HOOK_MILTER, /* one item */
    HOOK_SINGLE, /* the whole value */
    HOOK_MAP,    /* one item */
    HOOK_POLICY, /* check_policy_service and the item behind it */
};

struct hook {
    const char *parameter;
    enum hook_kind kind;
    bool in_front;
    char *path;      /* the socket as Postfix shall name it: below queue_directory without it */
    char *text;      /* what is added */
    const char *why; /* one line on the order */
};

/* Where the daemon's sockets stand, as bdat-milter.conf says. */
struct hook_sockets {
    const char *milter, *tables, *policy;
};

/* Fills in the hooks for a Postfix of that queue directory. */
void hooks_build(struct hook hooks[HOOK_COUNT], const struct hook_sockets *sockets,
                 const char *queue_dir);
void hooks_free(struct hook hooks[HOOK_COUNT]);

/* Finds ours in a value, however its socket is written; `part` is all that belongs to it. */
bool hook_find(const struct hook *hook, const char *queue_dir, const char *value,
               struct span *part);

/* The value without ours. The caller frees. */
char *hook_take_out(const struct hook *hook, const char *queue_dir, const char *value);

/* True for the two tables. Unlike the others, the smtpd(8) that `sendmail -bs` starts asks them
 * too, as the user who runs it (SMTPD_STAND_ALONE() of Postfix). */
bool hook_is_table(const struct hook *hook);

/* True if ours is found and no item stands where ours should: before it for those in front. */
bool hook_is_first(const char *value, struct span part);

/* True if a part that was found is as ours should be: a missing default_action would make
 * Postfix refuse mail when the daemon is away. */
bool hook_is_safe(const struct hook *hook, const char *value, struct span part);

/* A socket as Postfix should name it: relative when below queue_dir. The caller frees. */
char *hook_socket_path(const char *path, const char *queue_dir);

#endif
