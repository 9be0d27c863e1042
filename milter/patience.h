/*
 * How often the same message was sent back.
 *
 * "Say it again with DATA" settles a doubt only where the client's next try goes by DATA. A client
 * that keeps CHUNKING (it is proven, needs it, or a rule pins it) says the same by BDAT until its
 * sender gives up. A message that comes again and again just as it was is what the sender has:
 * after some tries it is let in.
 *
 * Any thread may call.
 */
#ifndef BDAT_PATIENCE_H
#define BDAT_PATIENCE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "milter/content.h"
#include "milter/transfer.h"

/* Tries of a message that are sent back; the next one is let in. */
#define PATIENCE_TRIES 3

/* Seconds between two tries that count as such: no mail server comes again sooner (RFC 5321,
 * 4.5.4.1), while one that sends many messages alike does it in a burst. */
#define PATIENCE_SPACING 60

/* Messages that are remembered, a power of two. One may push out another, whose count then
 * begins anew. */
#define PATIENCE_MESSAGES 1024

struct patience_place {
    uint64_t message;
    int64_t last;   /* when the last try was that counts, seconds */
    unsigned tries; /* that count */
};

struct patience {
    pthread_mutex_t lock;
    struct patience_place places[PATIENCE_MESSAGES];
};

#define PATIENCE_INITIALIZER {.lock = PTHREAD_MUTEX_INITIALIZER}

/* What tells a message from another: sender, declared octets, octets and last lines of the body.
 * Not the client's address, as large senders come again from another one. */
uint64_t patience_identify(const struct transfer *transfer, const struct content *content);

/* Notes one more try of that message at the wall clock time `now`, in seconds. True if it was sent
 * back PATIENCE_TRIES times before: it is to be let in. */
bool patience_is_over(struct patience *patience, uint64_t message, int64_t now);

#endif
