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

/* Unjoined messages that are remembered, so that each is counted once; of the order of the smtpd
 * processes of a server. */
#define ATTACHMENT_UNJOINED_KEPT 128

struct unjoined_message {
    bool open;
    char queue_id[TRANSFER_QUEUE_ID_SIZE]; /* may be "" */
};

#define ATTACHMENT_HINT_SIZE 512

struct attachment {
    uint64_t commands; /* command lookups */
    uint64_t policy_requests;
    uint64_t policy_joined;  /* policy requests that met their session */
    uint64_t strangers;      /* peers without a usable pid */
    int64_t next_warning_ms; /* when the next unverified message is worth a warning */
    unsigned hinted;         /* unverified messages since the hint began; 0 = there is none */
    bool hint_needs_verdict; /* a request that meets its session does not yet disprove it */
    int64_t hint_until_ms;
    char hint[ATTACHMENT_HINT_SIZE];
    uint64_t unjoined_messages;
    struct unjoined_message unjoined[ATTACHMENT_UNJOINED_KEPT]; /* a ring of the last ones */
};

/* A message that milter or policy service saw and whose session nobody knows; `queue_id` may be "".
 * now_ms is monotonic. */
void attachment_take_unjoined(struct attachment *attachment, const char *queue_id, int64_t now_ms,
                              struct log *log);

/* A policy request met the session whose commands were seen: look-ups and requests come together
 * again, which is what an unjoined message had lacked. */
void attachment_take_joined(struct attachment *attachment);

/* A BDAT transfer was judged by all it takes: every hook works. */
void attachment_take_verified(struct attachment *attachment);

/* True if that message was noted lately by attachment_take_unjoined(). */
bool attachment_knows_unjoined(const struct attachment *attachment, const char *queue_id);

/* The same, and it is forgotten. Where the policy service told no queue id, so that it is "", any
 * message may be it. */
bool attachment_claim_unjoined(struct attachment *attachment, const char *queue_id);

/* A BDAT transfer that came to its end unverified. */
void attachment_take_unverified(struct attachment *attachment, const struct transfer *transfer,
                                int64_t now_ms, struct log *log);

/* What is amiss as far as the last hour's messages show, with the last of them; NULL = nothing, or
 * newer sessions have shown that it is mended. Valid until the next call for this attachment. */
const char *attachment_hint(const struct attachment *attachment, int64_t now_ms);

#endif
