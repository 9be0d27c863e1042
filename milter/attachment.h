/*
 * How well the daemon is attached to Postfix, by what was seen: which hooks speak, and why a
 * message could not be verified. Tells the operator, once an hour, what main.cf lacks.
 *
 * Owned by the event loop's thread; a part of struct sessions. All zero = nothing seen yet.
 */
#ifndef BDAT_ATTACHMENT_H
#define BDAT_ATTACHMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "milter/log.h"
#include "milter/transfer.h"

/* Queue ids of unjoined messages that are remembered, so that each is counted once. */
#define ATTACHMENT_UNJOINED_KEPT 16

struct attachment {
    uint64_t commands;        /* command lookups */
    uint64_t policy_requests;
    uint64_t policy_joined;   /* policy requests that met their session */
    uint64_t strangers;       /* peers without a usable pid */
    int64_t next_warning_ms;  /* when the next unverified message is worth a warning */
    const char *hint;         /* what the last warning said */
    char unjoined[ATTACHMENT_UNJOINED_KEPT][TRANSFER_QUEUE_ID_SIZE];
    unsigned unjoined_next;
};

/* A message that milter or policy service saw and whose session nobody knows; `queue_id` may be "".
 * now_ms is monotonic. */
void attachment_take_unjoined(struct attachment *attachment, const char *queue_id, int64_t now_ms,
                              struct log *log);

/* True if that message was noted lately by attachment_take_unjoined(). */
bool attachment_knows_unjoined(const struct attachment *attachment, const char *queue_id);

/* A BDAT transfer that came to its end unverified. */
void attachment_take_unverified(struct attachment *attachment, const struct transfer *transfer,
                                int64_t now_ms, struct log *log);

/* A BDAT transfer that the milter saw to its end and could not judge. One that began before the
 * daemon did is nobody's fault. */
void attachment_take_judged(struct attachment *attachment, const struct transfer *transfer,
                            int64_t now_ms, struct log *log);

/* What is amiss as far as the last hour's messages show; NULL = nothing. Static storage. */
const char *attachment_hint(const struct attachment *attachment, int64_t now_ms);

#endif
