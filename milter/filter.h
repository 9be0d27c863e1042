/*
 * The milter (libmilter): its registration, and what it does for Postfix. Sendmail's sessions are
 * handed on to filter_sendmail.h.
 *
 * Of Postfix it asks no event but DATA, body and end of message: whatever else is known comes
 * from the tables and the policy service. A message that did not use BDAT is let go at DATA.
 * Callbacks run on libmilter's threads; they find the other half of a message by queue id
 * (joins.h), judge, answer, and hand a copy to the loop (inbox.h). They never wait for the loop.
 */
#ifndef BDAT_FILTER_H
#define BDAT_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "milter/inbox.h"
#include "milter/joins.h"
#include "milter/log.h"
#include "milter/sessions.h"

struct filter_options {
    struct inbox *inbox;       /* letters reach `sessions` through it */
    struct sessions *sessions; /* not touched by the callbacks, only by their letters */
    struct joins *joins;
    struct log *log;
    const struct settings *settings; /* of Sendmail's sessions until filter_configure() */
};

/* Registers with libmilter and has it take the listening socket: the descriptor `fd` where the
 * library knows "fd:N" (Debian's does), otherwise it binds `path` itself and *took_fd is false.
 * One filter per process, as libmilter has it. Returns 0, or -1 with a text in `error`. */
int filter_open(const struct filter_options *options, int fd, const char *path, bool *took_fd,
                char *error, size_t error_size) __attribute__((warn_unused_result));

/* Sendmail's sessions that begin from now on work by these settings; those of Postfix get theirs
 * from `sessions`. Takes a reference. Option mta stays as it was. */
void filter_configure(const struct settings *settings);

/* Starts libmilter's threads. 0, or -1 when no thread can be made. */
int filter_start(void) __attribute__((warn_unused_result));

/* True until libmilter's main loop has ended, which it should not do by itself. */
bool filter_is_running(void);

/* Waits up to timeout_ms until no callback uses the options' objects any more; later ones accept
 * and touch nothing. The process is to end then: libmilter's threads are left as they are, since
 * smfi_stop() waits for a lock that its listener holds for up to 5 seconds. False if a callback
 * is still at work. True at once if no thread runs. */
bool filter_stop(int timeout_ms);

/* For /v1/status; any thread. */
struct filter_counts {
    uint64_t connections;  /* open now */
    uint64_t sessions;     /* since the start */
    int64_t last_seen_ms;  /* wall clock; 0 = never */
    enum mta mta;          /* the server, as configured or seen; MTA_AUTO = not seen yet */
};
struct filter_counts filter_counts(void);

#endif
