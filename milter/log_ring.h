/*
 * The log's ring: messages that wait to be written, oldest first, in memory of a fixed size.
 *
 *     +------+-------+-------+-------+------+          +-------+------+-------+------+
 *     | free | entry | entry | entry | free |    or    | entry | free | entry | skip |
 *     +------+-------+-------+-------+------+          +-------+------+-------+------+
 *            ^ tail                  ^ head                    ^ head ^ tail
 *
 * An entry lies in one piece and stays untouched until it is popped, so that it can be written
 * from where it lies while others are put in behind it. Knows no lock: the owner has one.
 */
#ifndef BDAT_LOG_RING_H
#define BDAT_LOG_RING_H

#include <stdbool.h>
#include <stddef.h>

#include "milter/log.h"

struct log_ring;

/* One message. The strings live as long as it stands in the ring. */
struct log_entry {
    enum log_level level;
    enum log_target target;
    size_t count;                           /* of `fields` */
    const char *fields[LOG_FIELDS_MAX + 1]; /* "NAME=value"; the first one is MESSAGE */
    const char *text;                       /* the value of MESSAGE */
};

/* A ring of that many octets, rounded up. NULL when memory is short. */
struct log_ring *log_ring_new(size_t size);

/* Frees it and nulls the pointer; NULL is fine. */
void log_ring_free(struct log_ring **ring);

/* Puts a message in, copied; of `fields` the first LOG_FIELDS_MAX. False if there is no room. */
bool log_ring_put(struct log_ring *ring, enum log_level level, enum log_target target,
                  const char *text, const struct log_field *fields, size_t count)
    __attribute__((warn_unused_result));

/* Shows the oldest message; false if there is none. */
bool log_ring_peek(struct log_ring *ring, struct log_entry *entry);

/* Takes the oldest message out, which log_ring_peek() has shown. */
void log_ring_pop(struct log_ring *ring);

/* Messages that wait, and whether they take up more than half of the room. */
size_t log_ring_count(const struct log_ring *ring);
bool log_ring_is_half_full(const struct log_ring *ring);

#endif
