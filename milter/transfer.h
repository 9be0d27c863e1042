/*
 * The ledger of one message, and the functions that judge it.
 *
 * A transfer gathers what the command table, the policy service and the milter saw of one
 * message. transfer_judge_message() gives the verdict at end of message; transfer_judge_ending()
 * the verdict of a transfer that never came so far. Both are pure.
 *
 * Received octets R (Postfix's own count, policy attribute `size`) and declared octets D (the
 * sum of the BDAT commands) are related by
 *
 *     R - D = b + 2u + 2c - e
 *
 * b = lines that ended in a bare LF, u = 1 if the last line had no line end, c = how often
 * line_length_limit cut a line, e = CRs dropped before CRLF: Postfix's smtpd (bdat_cmd() in
 * smtpd.c) counts every line as its text and two octets.
 */
#ifndef BDAT_TRANSFER_H
#define BDAT_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "milter/content.h"
#include "milter/network.h"
#include "milter/smtp_command.h"
#include "milter/verdict.h"

/* Chunks whose sizes are kept one by one; all are counted and summed. */
#define TRANSFER_CHUNKS_KEPT 64

/* Room for texts with their NUL; longer ones are cut. */
#define TRANSFER_QUEUE_ID_SIZE 32
#define TRANSFER_NAME_SIZE 128
#define TRANSFER_ADDRESS_SIZE 192
#define TRANSFER_LINE_SIZE 84

/* How the message is sent. */
enum transfer_mode { TRANSFER_NONE, TRANSFER_BDAT, TRANSFER_DATA };

struct transfer {
    uint64_t id; /* counts up, never 0: tells one message of a session from the next */
    enum transfer_mode mode;
    char queue_id[TRANSFER_QUEUE_ID_SIZE]; /* "" until the policy service names it */
    char client_name[TRANSFER_NAME_SIZE];
    char helo[TRANSFER_NAME_SIZE];
    char sender[TRANSFER_ADDRESS_SIZE];
    char followed_by[TRANSFER_LINE_SIZE]; /* first noteworthy line behind a chunk, printable */
    struct address client;
    bool has_client;
    int64_t pid;              /* of the smtpd process */
    int64_t started_wall_ms;  /* wall clock, milliseconds since the epoch, at the first chunk */
    int64_t started_ms;       /* monotonic, likewise */
    int64_t last_chunk_ms;    /* monotonic, at the last BDAT command or DATA */
    int64_t aborted_ms;       /* monotonic, when Postfix took it back from the milter; 0 = not */
    uint64_t declared;        /* D, octets; saturates. Of DATA messages: what SIZE said */
    uint64_t chunk_count;
    uint64_t chunks[TRANSFER_CHUNKS_KEPT];
    bool last;                /* LAST was declared */
    bool whole;               /* every command since MAIL was seen */
    bool admitted;            /* the policy service was asked at its begin: Postfix took it */
    bool refused;             /* the policy service refused it at its begin, for a limit */
    bool offered;             /* CHUNKING was offered to the client, as far as we know */
    bool server_gone;         /* its smtpd process is no more: stopped or killed, maybe */
    bool command_followed;    /* a command came after the last chunk */
    bool null_chunk;          /* an empty chunk without LAST: refused, and so is all behind it */
    bool has_size;            /* MAIL said SIZE */
    uint64_t size;            /* S, octets */
    bool has_received;        /* the policy service told R */
    uint64_t received;        /* R, octets */
    uint64_t recipients;
    enum smtp_body body_type;
    unsigned evidence;        /* bits of enum evidence gathered so far */
};

/* Begins a new message: everything back to nothing, with the next id. Idempotent but for it. */
void transfer_reset(struct transfer *transfer);

/* Adds one chunk of `octets` at the monotonic time now_ms. */
void transfer_add_chunk(struct transfer *transfer, uint64_t octets, bool last, int64_t now_ms);

/* Copies client text as printable ASCII, with its NUL, cut to `size` octets; the rest becomes '?'.
 * For the texts of a transfer. */
void transfer_copy_printable(char *target, size_t size, const char *text, size_t length);

/* R - D; 0 while R is unknown. */
int64_t transfer_drift(const struct transfer *transfer);

/* A judgement: verdict and all evidence bits (those of the ledger among them). */
struct judgement {
    enum verdict verdict;
    unsigned evidence;
};

/* Judges a message at end of message. `content` are the facts of its body after
 * content_finish(); `size_slack` in octets, 0 = SIZE is never compared. */
struct judgement transfer_judge_message(const struct transfer *transfer,
                                        const struct content *content, uint64_t size_slack);

/* How a transfer came to an end without an end of message at the milter. */
enum transfer_ending {
    TRANSFER_ENDED_BY_COMMAND, /* the next command shows that it is over */
    TRANSFER_ENDED_BY_SESSION, /* the session is over */
};

/* Postfix's own default of message_size_limit, octets. */
#define TRANSFER_DEFAULT_SIZE_LIMIT 10240000

/* Which hooks could have told more of a transfer: without them nobody can tell a refusal of
 * Postfix's from a missing line in main.cf. */
struct hooks_seen {
    bool policy; /* had Postfix taken the transfer, the policy service or the milter would know */
    bool milter; /* the milter saw the begin of this transfer */
    uint64_t largest; /* R of the largest message that was ever received whole, octets */
};

/* Judges such a transfer at the monotonic time now_ms. */
struct judgement transfer_judge_ending(const struct transfer *transfer,
                                       enum transfer_ending ending, const struct hooks_seen *seen,
                                       int64_t now_ms, int64_t stall_seconds);

#endif
