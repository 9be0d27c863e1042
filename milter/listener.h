/*
 * Listening Unix sockets: handed over by the service manager, or bound by ourselves.
 *
 * A path that a daemon has left behind is taken over atomically (bound under another name, then
 * renamed), so that there is no moment without a socket while a killed one is started again.
 */
#ifndef BDAT_LISTENER_H
#define BDAT_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

#include "milter/log.h"

struct listener_options {
    const char *name;  /* "milter", "tables", "policy", "control": FileDescriptorName= */
    const char *path;
    const char *group; /* "" = leave it */
    mode_t mode;
};

/* Takes the sockets the service manager passed (sd_listen_fds_with_names(3)), once, before any
 * listener_open(). Returns how many there are. */
int listener_take_passed(void);

/* Returns a listening, non-blocking, close-on-exec descriptor: the passed one of that name, or
 * a newly bound one, whose folder is made if missing. -1 with a text in `error`, also when
 * another daemon answers at the path. */
int listener_open(const struct listener_options *options, char *error, size_t error_size)
    __attribute__((warn_unused_result));

/* Which file stands at a socket's path. */
struct listener_place {
    bool known;
    dev_t device;
    ino_t inode;
    struct timespec made; /* an inode's number may come again */
};

/* Looks which file stands there; `known` is false if that cannot be seen. */
struct listener_place listener_find_place(const struct listener_options *options);

/* True unless the file that stood there has gone or was replaced, so that nobody can reach the
 * socket any more. */
bool listener_is_in_place(const struct listener_options *options,
                          const struct listener_place *place);

/* Removes the path of a socket that this process has bound, if `place` is still what stands there:
 * it may be another daemon's by now. A socket that was passed stays, as does one whose place is not
 * known. The descriptor may be open still. */
void listener_remove(const struct listener_options *options, int fd,
                     const struct listener_place *place);

/* Says in the log what is unsafe about a socket's folder (writable for everybody). */
void listener_check_folder(const struct listener_options *options, struct log *log);

#endif
