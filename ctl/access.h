/*
 * Whether another user could reach a Unix socket, computed from owners, groups and mode bits of
 * each component of its path, and tried out when we are root.
 */
#ifndef BDAT_CTL_ACCESS_H
#define BDAT_CTL_ACCESS_H

#include <stdbool.h>
#include <sys/types.h>

#define ACCESS_GROUPS_MAX 256

struct access_user {
    char name[64];
    uid_t uid;
    gid_t gid;
    gid_t groups[ACCESS_GROUPS_MAX];
    int group_count;
};

/* Looks a user and all its groups up; false if there is no such user. */
bool access_load_user(const char *name, struct access_user *user);

/* What of `wanted` (4 read, 2 write, 1 enter) the mode bits give this user; root is given all. */
unsigned access_bits(const struct access_user *user, uid_t owner, gid_t group, mode_t mode);

/* What keeps the user from the socket: the first component that stands in the way. */
struct access_obstacle {
    char *what;  /* "/var/spool/postfix/x may not be entered by postfix (mode 0700 root:root)" */
    char *mend;  /* the command that mends it */
    bool hidden; /* it is us who may not look there: nothing is known of the user */
};

/* Walks from `start` ("" = "/"), which must be entered too but not the folders above it, to the
 * socket `path` below it; true if nothing stands in the way. Otherwise fills in `obstacle`, whose
 * texts the caller frees. */
bool access_walk(const struct access_user *user, const char *start, const char *path,
                 struct access_obstacle *obstacle);

/* Connects as that user from inside `root` ("/" = no chroot) to `path`, relative to `folder`
 * when it does not begin with a slash. Returns 0 or the errno; -1 when we are not root. */
int access_try(const struct access_user *user, const char *root, const char *folder,
               const char *path);

#endif
