/*
 * One SMTP session as the command table sees it: a state machine fed with command lines.
 *
 * Sequence matters more than counts here: Postfix reads exactly the octets a client declares, so
 * a client that miscounts shows in what it says next. The conversation keeps the ledger of the
 * message at hand (transfer.h), says what Postfix shall be told instead of a command (the guard),
 * and hands out each transfer when it is over. Pure; times come in as arguments (milliseconds,
 * monotonic unless "wall" is said).
 *
 *   MAIL ──> BDAT … BDAT LAST ──> settled by the next command or the end of the session
 *
 * Order of calls for one message, as Postfix asks (smtpd.c, bdat_cmd()):
 *   conversation_take_command(BDAT …), conversation_identify() and conversation_admit() for the
 *   policy request at its begin, more commands, conversation_receive() for that at its end,
 *   conversation_take_judgement() from the milter, the next command.
 */
#ifndef BDAT_CONVERSATION_H
#define BDAT_CONVERSATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "milter/smtp_command.h"
#include "milter/transfer.h"

/* What is configured for this session; octets and counts, 0 = no limit. */
struct conversation_rules {
    bool guard;            /* keep harmful sequences from Postfix */
    uint64_t max_chunks;
    uint64_t max_chunk;
    uint64_t min_chunk;    /* of every chunk but the last */
    uint64_t max_message;
    int64_t stall_seconds;
};

/* Where the session stands; what GET /v1/sessions calls "state". */
enum conversation_state {
    CONVERSATION_CONNECTED, /* no HELO or EHLO yet */
    CONVERSATION_GREETED,   /* between messages */
    CONVERSATION_ENVELOPE,  /* after MAIL */
    CONVERSATION_CHUNKS,    /* a BDAT transfer without LAST yet */
    CONVERSATION_LAST,      /* after LAST, not settled yet */
    CONVERSATION_DATA,      /* after DATA, not settled yet */
    CONVERSATION_ENDED,     /* QUIT, hang-up, or the session is known to be over */
    CONVERSATION_STATES
};

/* How a session used BDAT; what GET /v1/sessions calls "mode". */
enum session_mode { SESSION_NONE, SESSION_BDAT, SESSION_DATA, SESSION_MIXED, SESSION_MODES };

struct conversation {
    enum conversation_state state;
    uint64_t generation;       /* counts sessions of one smtpd process */
    struct address client;
    bool has_client;
    bool offered;              /* the ehlo table let Postfix offer CHUNKING */
    bool announced;            /* the ehlo table told of its begin and its client */
    bool whole;                /* seen from its begin, or at least from the last MAIL */
    bool credentials_may_follow; /* after AUTH: lines may be credentials, they are not kept */
    char helo[TRANSFER_NAME_SIZE];
    int64_t since_wall_ms;
    bool used_bdat;
    bool used_data;
    uint64_t chunks;           /* BDAT commands in this session */
    uint64_t declared;         /* octets declared in this session */
    uint64_t declared_in_vain; /* of those, in transfers that Postfix refused or that the client
                                  gave up (guard) */
    bool has_envelope;         /* MAIL was seen for the message at hand */
    bool spent;                /* a BDAT transfer ended; no MAIL came since (guard) */
    bool unasked;              /* a transfer began by an empty chunk: Postfix refuses it without a
                                  policy request, and keeps its recipients (guard) */
    bool judged;               /* the milter has judged the message at hand */
    struct judgement judgement;
    struct transfer transfer;  /* the message at hand */
};

/* What came of one command. */
struct conversation_result {
    /* The command Postfix runs instead; NULL = leave it. Static storage. */
    const char *replacement;
    /* A transfer came to its end with this command: `ended` is its ledger as it was. */
    bool has_ended;
    struct transfer ended;
    struct judgement judgement; /* its verdict; VERDICT_OVERRUN may follow an earlier one */
    bool was_judged;   /* the milter had judged (and the recorder listed) it before: only
                          VERDICT_OVERRUN is news then */
    bool data_ended;            /* a DATA message came to its end … */
    bool data_succeeded;        /* … and had been taken whole */
    bool data_over;             /* a DATA message that Postfix took is over in any case; `ended` is
                                   its ledger */
};

/* Begins a new session on this state: all back but the generation, which counts up. The caller
 * ends the session before by conversation_end(). */
void conversation_begin(struct conversation *conversation, const struct address *client,
                        bool offered, int64_t now_wall_ms);

/* Takes one command line (no CRLF; any octets) and says what came of it. */
void conversation_take_command(struct conversation *conversation, const char *line,
                               size_t length, const struct conversation_rules *rules,
                               const struct hooks_seen *seen, int64_t now_ms,
                               int64_t now_wall_ms, struct conversation_result *result);

/* The limits that the chunks so far break, as evidence bits; asked at the policy request. */
unsigned conversation_broken_limits(const struct conversation *conversation);

/* A policy request names the message at hand: copies its queue id and its client. `client` may be
 * NULL; it counts for more than that of the ehlo lookup, which does not know of XCLIENT. */
void conversation_identify(struct conversation *conversation, const char *queue_id,
                           const char *client_name, const struct address *client);

/* Postfix took the message at hand at its first BDAT, or at DATA: the policy service was asked. */
void conversation_admit(struct conversation *conversation);

/* The policy service refused the message at hand at its first BDAT, for a limit that it breaks. It
 * is over at once if it was all of the transfer, at LAST otherwise. */
void conversation_refuse(struct conversation *conversation,
                         const struct conversation_rules *rules, const struct hooks_seen *seen,
                         int64_t now_ms, struct conversation_result *result);

/* The policy service told what was received: octets and recipients. */
void conversation_receive(struct conversation *conversation, const char *queue_id,
                          uint64_t received, uint64_t recipients);

/* The milter has judged transfer number `transfer_id`; ignored if it is not the one at hand. */
void conversation_take_judgement(struct conversation *conversation, uint64_t transfer_id,
                                 const struct judgement *judgement);

/* Postfix took the message at hand back from the milter. */
void conversation_take_abort(struct conversation *conversation, int64_t now_ms);

/* True if the end of the session would now leave a transfer in the air: announced, taken by
 * Postfix, and neither arrived nor given up. */
bool conversation_is_in_the_air(const struct conversation *conversation);

/* The session is over (connection closed, next client, process gone). Idempotent. */
void conversation_end(struct conversation *conversation, const struct conversation_rules *rules,
                      const struct hooks_seen *seen, int64_t now_ms,
                      struct conversation_result *result);

enum session_mode conversation_mode(const struct conversation *conversation);

/* Wire words of states and modes. Static storage. */
const char *conversation_state_name(enum conversation_state state);
const char *session_mode_name(enum session_mode mode);

#endif
