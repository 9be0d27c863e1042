/*
 * One SMTP session of a Sendmail server, as its milter events show it.
 *
 * Sendmail (8.17, 8.18) knows no CHUNKING: a BDAT that a client sends all the same is an unknown
 * command to it, and the octets behind it are read as commands. A DATA message is compared with
 * what MAIL announced as SIZE (RFC 1870).
 *
 * What is counted: every header line as "name:value" CRLF, folded lines with the CRLFs that
 * Sendmail has turned into LFs, the empty line, and the body, which Sendmail gives CRLFs again.
 * Dots that DATA doubled are gone by then, as RFC 1870 wants it. Sendmail keeps from its milters
 * the headers it adds itself, and drops from the header NULs and a leading "From " line; for all
 * else the count is exact (measured with 8.17.1.9, Bcc, Return-Path and Content-Length among it),
 * but for two octets too many where a message ends with its header.
 *
 * Times are monotonic and wall clock, in milliseconds. Pure; a session belongs to one thread at a
 * time.
 */
#ifndef BDAT_SENDMAIL_SESSION_H
#define BDAT_SENDMAIL_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "milter/conversation.h"
#include "milter/transfer.h"

struct sendmail_session {
    char client_name[TRANSFER_NAME_SIZE];
    char helo[TRANSFER_NAME_SIZE];
    struct address client;
    bool has_client;
    bool header_spaces; /* header values come with the space behind the colon */
    bool used_bdat;
    bool used_data;
    struct transfer transfer; /* the message at hand */
    uint64_t octets;          /* of it, counted so far */
};

/* When an event came. */
struct sendmail_time {
    int64_t now_ms;
    int64_t wall_ms;
};

/* The connection; `client` NULL = not by IP. `header_spaces` is what the negotiation agreed on
 * (SMFIP_HDR_LEADSPC). Everything before is forgotten. */
void sendmail_session_begin(struct sendmail_session *session, const char *client_name,
                            const struct address *client, bool header_spaces);

void sendmail_session_helo(struct sendmail_session *session, const char *name);

/* MAIL: a new message. `arguments` end with NULL: the path, then the parameters. `queue_id` may be
 * NULL. Returns true if the client announces BODY=BINARYMIME, which only BDAT can carry
 * (RFC 3030); Sendmail 8.17 refuses that itself and never tells its milters. */
bool sendmail_session_mail(struct sendmail_session *session, char *const *arguments,
                           const char *queue_id, const struct sendmail_time *time);

void sendmail_session_rcpt(struct sendmail_session *session);

/* A command that Sendmail does not know, without its line end. True if it is a BDAT, which is then
 * in the ledger. */
bool sendmail_session_unknown(struct sendmail_session *session, const char *line,
                              const struct sendmail_time *time);

/* DATA, and the message behind it. */
void sendmail_session_data(struct sendmail_session *session, const struct sendmail_time *time);
void sendmail_session_header(struct sendmail_session *session, const char *name,
                             const char *value);
void sendmail_session_end_of_header(struct sendmail_session *session);
void sendmail_session_body(struct sendmail_session *session, size_t length);

/* True if there is a BDAT in the ledger. */
bool sendmail_session_has_bdat(const struct sendmail_session *session);

/* Takes it out of the ledger. The envelope stays: after a refused BDAT a client may go on with
 * DATA. */
void sendmail_session_end_bdat(struct sendmail_session *session);

/* The end of a DATA message: closes its ledger, where SIZE stands as declared and the counted
 * octets as received. True if they exceed SIZE by more than size_slack octets; no SIZE or a slack
 * of 0 is never exceeded. */
bool sendmail_session_exceeds_size(struct sendmail_session *session, uint64_t size_slack);

/* The message is over, or given up: back to none at hand. Idempotent. */
void sendmail_session_reset(struct sendmail_session *session);

enum session_mode sendmail_session_mode(const struct sendmail_session *session);

#endif
