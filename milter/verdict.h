/*
 * The words of the program: verdicts, actions, evidence.
 *
 * Each word stands once, in a table of verdict.c, which yields the names for log, JSON,
 * configuration and metrics alike.
 */
#ifndef BDAT_VERDICT_H
#define BDAT_VERDICT_H

#include <stdbool.h>
#include <stddef.h>

/* What became of one transfer. */
enum verdict {
    VERDICT_NONE = -1, /* not judged yet */
    VERDICT_MATCH,
    VERDICT_NORMALIZED,
    VERDICT_MISMATCH,
    VERDICT_TRUNCATED,
    VERDICT_SWALLOWED,
    VERDICT_DOT_STUFFED,
    VERDICT_SIZE_EXCEEDED,
    VERDICT_REFUSED,
    VERDICT_STALLED,
    VERDICT_LOST,
    VERDICT_DESYNCHRONIZED,
    VERDICT_ABANDONED,
    VERDICT_OVERRUN,
    VERDICT_NOT_OFFERED,
    VERDICT_FAILED_ELSEWHERE,
    VERDICT_UNVERIFIED,
    VERDICT_COUNT
};

/* What the milter answers at end of message. */
enum action {
    ACTION_ACCEPT,
    ACTION_TAG,      /* accept, with a header that names the verdict */
    ACTION_HOLD,     /* accept, into the hold queue */
    ACTION_TEMPFAIL, /* 4xx */
    ACTION_REJECT,   /* 5xx */
    ACTION_COUNT
};

/* What was noticed about a transfer; a set of bits. */
enum evidence {
    EVIDENCE_BARE_LF = 1 << 0,          /* lines that ended in LF without CR */
    EVIDENCE_UNTERMINATED = 1 << 1,     /* the last line had no line end */
    EVIDENCE_LONG_LINES = 1 << 2,       /* lines beyond Postfix's line_length_limit */
    EVIDENCE_EXTRA_CR = 1 << 3,         /* CRs dropped before CRLF */
    EVIDENCE_COMMAND_TAIL = 1 << 4,     /* the content ends in lines that are SMTP commands */
    EVIDENCE_OPEN_MULTIPART = 1 << 5,   /* a MIME multipart in the body is never closed */
    EVIDENCE_LONE_DOT = 1 << 6,         /* the content ends in a line that is a lone dot */
    EVIDENCE_SIZE_EXCEEDED = 1 << 7,    /* more octets declared than SIZE and its slack */
    EVIDENCE_FOREIGN_INPUT = 1 << 8,    /* a line that is no SMTP command */
    EVIDENCE_MAX_CHUNKS = 1 << 9,       /* limits.max_chunks was broken */
    EVIDENCE_MAX_CHUNK = 1 << 10,       /* limits.max_chunk was broken */
    EVIDENCE_MIN_CHUNK = 1 << 11,       /* limits.min_chunk was broken */
    EVIDENCE_MAX_MESSAGE = 1 << 12,     /* limits.max_message was broken */
    EVIDENCE_BINARYMIME = 1 << 13,      /* BODY=BINARYMIME, which Postfix does not offer */
    EVIDENCE_GUARDED = 1 << 14,         /* the guard kept a command from Postfix */
    EVIDENCE_CHANGED_BODY = 1 << 15,    /* an earlier filter changed the body: not looked at */
    EVIDENCE_MALFORMED = 1 << 16,       /* a BDAT command that breaks RFC 3030's syntax */
    EVIDENCE_NESTED_MAIL = 1 << 17,     /* MAIL between the chunks: two messages may be mixed */
    EVIDENCE_SERVER_GONE = 1 << 18,     /* the smtpd process ended with the session */
    EVIDENCE_INSISTED = 1 << 19,        /* sent back before, time and again, just as it is */
    EVIDENCE_SIZE_UNKNOWN = 1 << 20,    /* nobody knows if Postfix takes messages of that size */
};
#define EVIDENCE_BITS 21

/* The bits that say which configured limit was broken: the verdict is `refused` then. */
#define EVIDENCE_OF_LIMITS                                                                         \
    (EVIDENCE_MAX_CHUNKS | EVIDENCE_MAX_CHUNK | EVIDENCE_MIN_CHUNK | EVIDENCE_MAX_MESSAGE |        \
     EVIDENCE_BINARYMIME)

/* The wire word of a verdict ("match"), "none" for VERDICT_NONE. Static storage. */
const char *verdict_name(enum verdict verdict);

/* The verdict of that name; VERDICT_NONE if there is none. */
enum verdict verdict_from_name(const char *name);

/* Strikes a transfer of this verdict costs its client (0, 1 or 2). */
unsigned verdict_strikes(enum verdict verdict);

/* True for the verdicts of a clean transfer (match, normalized), which clear strikes. */
bool verdict_is_clean(enum verdict verdict);

/* True for the verdicts that the milter can answer, so that `actions` may name them. */
bool verdict_is_answerable(enum verdict verdict);

/* The action that an empty configuration gives this verdict. */
enum action verdict_default_action(enum verdict verdict);

/* One sentence for operators: what the verdict means. Static storage. */
const char *verdict_meaning(enum verdict verdict);

/* The wire word of an action ("tempfail"). Static storage. */
const char *action_name(enum action action);

/* Finds an action by its name; false if there is none, *action is then untouched. */
bool action_from_name(const char *name, enum action *action);

/* The wire word of the single evidence bit number `bit` (0 to EVIDENCE_BITS - 1). */
const char *evidence_name(unsigned bit);

#endif
