/*
 * One SMTP session of the probe: greeting, EHLO, STARTTLS, AUTH, then what a case wants.
 *
 * Every exchange goes into the dialog. Whatever goes wrong on the wire is kept in
 * session->trouble, the first of it; after that all calls fail at once.
 */
#ifndef BDAT_PROBE_SESSION_H
#define BDAT_PROBE_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/connection.h"
#include "probe/dialog.h"
#include "probe/options.h"
#include "probe/reply.h"

/* A session lasts at most this many times --timeout, however slow the replies drip. */
#define SESSION_TIMEOUTS 10

/* What can go wrong on the wire. */
enum trouble {
    TROUBLE_NONE,
    TROUBLE_DROPPED, /* the server closed or broke the connection */
    TROUBLE_SILENT,  /* no reply within the time */
    TROUBLE_UNSENT,  /* the server stopped reading in the middle of what was sent */
    TROUBLE_UNASKED, /* a reply came before anything was asked */
    TROUBLE_GARBAGE, /* what came is no SMTP reply */
    TROUBLE_ENDLESS, /* a reply without end */
};

/* How the opening of a session went. */
enum opening {
    OPENING_DONE,
    OPENING_UNREACHABLE, /* no connection */
    OPENING_REFUSED,     /* a greeting or EHLO reply of 4xx or 5xx */
    OPENING_BROKEN,      /* trouble: no SMTP there, or it stopped in mid-opening */
    OPENING_TLS_FAILED,  /* STARTTLS or the handshake failed, or it is wanted and not offered */
    OPENING_AUTH_FAILED,
};

/* What an EHLO reply offers. */
struct capabilities {
    bool ehlo; /* EHLO was accepted */
    bool chunking, binarymime, pipelining, eightbitmime, starttls, size;
    uint64_t size_limit; /* 0: none said */
    char auth[128];      /* mechanisms */
    bool masked;         /* lines of XXXX: something in the path blots out keywords */
    unsigned keywords;
};

struct session {
    const struct options *options;
    struct connection *connection;
    struct dialog *dialog;
    char helo[256];

    struct reply greeting;     /* text as the server gave it */
    struct capabilities plain; /* offered before TLS; as `current` without TLS */
    struct capabilities current;
    struct reply ehlo; /* the last EHLO reply */
    bool tls;

    enum trouble trouble;
    char last_words[160]; /* the reply that came with the trouble, "" if there was none */
    size_t unsent_octets; /* with TROUBLE_UNSENT: how many were not taken */
    int64_t last_ms;      /* how long the last reply took */
    int64_t slowest_ms;   /* the slowest reply since the opening */
    int64_t give_up_at;   /* no reply is awaited beyond this, whatever the timeout */

    struct reply_parser parser;
    char input[4096];
    size_t input_start, input_end;
};

/* Opens a session: connects, reads the greeting, says EHLO, starts TLS as the options want,
 * says EHLO again, authenticates. `why` gets a sentence unless OPENING_DONE. The session must
 * be ended by session_end() in any case. */
enum opening session_open(struct session *session, const struct options *options,
                          const struct endpoint *endpoint, struct dialog *dialog, char *why,
                          size_t why_size);

/* Closes the connection, without QUIT. */
void session_end(struct session *session);

/* Sends a line (without CRLF) and reads the reply. False if there is trouble. */
bool session_command(struct session *session, struct reply *reply, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Sends octets as they are; `label` stands for them in the dialog. False if there is trouble.
 * A reply that nobody asked for is looked for first. */
bool session_send(struct session *session, const char *data, size_t length, const char *label);

/* The same, while a reply may be due or on its way: none is looked for. */
bool session_send_ahead(struct session *session, const char *data, size_t length,
                        const char *label);

/* Reads one reply, waiting at most `timeout_ms`. False if there is trouble. */
bool session_reply(struct session *session, struct reply *reply, int timeout_ms);

/* Looks whether a reply comes that nobody asked for, for at most `wait_ms`. True if one is
 * there, in *reply. The end of the connection is no reply. */
bool session_stray_reply(struct session *session, struct reply *reply, int wait_ms);

/* Waits until the peer has acknowledged everything sent, and looks whether the connection
 * still stands. False if there is trouble. */
bool session_drain(struct session *session);

/* Reads an EHLO reply. Pure. */
void capabilities_read(struct capabilities *capabilities, const struct reply *reply);

#endif
