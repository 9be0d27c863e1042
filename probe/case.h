/*
 * The cases: what is asked of a server, one row of a table each, and what came of it.
 *
 * A new case is a row in cases.c; where its course is new, a function beside the others of
 * its kind (case_chunks.c, case_order.c, case_data.c).
 */
#ifndef BDAT_PROBE_CASE_H
#define BDAT_PROBE_CASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "probe/dialog.h"
#include "probe/message.h"
#include "probe/options.h"
#include "probe/session.h"

enum status { STATUS_PASS, STATUS_WARN, STATUS_FAIL, STATUS_SKIP };

/* What was found, as the conclusion needs it. */
enum finding {
    FINDING_NONE,
    FINDING_DROPPED,     /* the server closed the connection */
    FINDING_STALLED,     /* no answer, or it stopped reading */
    FINDING_SLOW,        /* answered, but late */
    FINDING_REFUSED,     /* 4xx or 5xx where it had to be taken */
    FINDING_ACCEPTED,    /* taken where it had to be refused */
    FINDING_RAN_PAYLOAD, /* message octets were run as commands */
    FINDING_TWICE,       /* more replies than questions */
    FINDING_MISCOUNTED,  /* more or fewer octets were read than declared */
    FINDING_GARBAGE,     /* no SMTP replies, or one without end */
    FINDING_UNTIDY,      /* RSET or QUIT is not answered as it should be, but in step */
    FINDING_UNREACHABLE, /* the server turned the session of this case away */
    FINDING_UNFINISHED,  /* the time for the session was over before the case was */
    FINDING_COUNT
};

/* What a case needs, beside CHUNKING unless NEED_NOT_CHUNKING is set. */
enum need {
    NEED_NOT_CHUNKING = 1 << 0, /* runs whether or not CHUNKING is offered */
    NEED_RECIPIENT = 1 << 1,    /* a recipient that is accepted */
    NEED_PIPELINING = 1 << 2,
    NEED_8BITMIME = 1 << 3,
    NEED_BINARYMIME = 1 << 4,
    MAY_BE_REFUSED = 1 << 5, /* a clean refusal is only worth a warning */
    TAKES_CHUNK = 1 << 6,    /* passes only where a chunk is taken: CHUNKING works */
};

struct run;

struct probe_case {
    const char *name;     /* the word for --only, reports and Subject */
    const char *title;    /* what is done, in a few words */
    const char *proves;   /* what it shows when nothing is delivered */
    const char *delivers; /* what --deliver adds; "" if it makes no difference */
    unsigned needs;
    enum message_kind message;
    enum cut_kind cut;
    const char *command;      /* for the cases of a malformed command: that command */
    const char *same_by_data; /* name of the case that sends the same message by DATA, or NULL */
    void (*run)(struct run *run);
};

struct case_result {
    const struct probe_case *definition;
    enum status status;
    enum finding finding;
    char meaning[600]; /* plain words */
    int64_t elapsed_ms;
    int64_t slowest_ms; /* the slowest reply */
    struct dialog dialog;
};

/* What the first session found out about the server. */
struct survey {
    enum opening opening;
    char why[400]; /* unless OPENING_DONE */
    struct endpoint endpoint;
    time_t started;
    char client[80]; /* our own address, as the server sees it if nothing translates it */
    char greeting[200];
    char tls[200];      /* protocol, cipher and certificate; "" without TLS */
    char tls_note[300]; /* what went wrong with STARTTLS, when it was done without */
    struct capabilities plain;
    struct capabilities current;
    char ehlo[2048]; /* the keywords, one a line */
    bool recipient_found;
    char recipient[OPTIONS_MAX_ADDRESS + 1]; /* "postmaster" is one, too */
    char recipient_reply[200];               /* what the last recipient tried was answered */
    bool sender_refused;                     /* it was MAIL that was refused, not RCPT */
    int refusal;                             /* its code; 0: it was not answered */
    bool foreign_refused; /* a recipient below .invalid is refused, as it should be */
    struct dialog dialog;
};

/* A case under way. */
struct run {
    const struct options *options;
    const struct survey *survey;
    struct case_result *result;
    struct session session;
    struct message message;
};

/* The table, in the order of running. */
extern const struct probe_case probe_cases[];
extern const size_t probe_case_count;

/* The case of that name, or NULL. */
const struct probe_case *case_find(const char *name);

/* Runs one case on a session of its own. */
void case_run(const struct probe_case *definition, const struct options *options,
              const struct survey *survey, struct case_result *result);

/* Says that a case was not run, and why. The finding tells what is lost by that: NONE if the
 * server cannot be asked, UNREACHABLE or UNFINISHED if it could have been. */
void case_skip(const struct probe_case *definition, struct case_result *result,
               enum finding finding, const char *why);

/* Why the server cannot be asked this case, or NULL if it can. Static storage. */
const char *case_obstacle(const struct probe_case *definition, const struct survey *survey);

/* Wire words: "PASS", "dropped". Static storage. */
const char *status_name(enum status status);
const char *finding_name(enum finding finding);

#endif
