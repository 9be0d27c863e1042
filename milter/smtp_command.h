/*
 * One SMTP command line, as Postfix hands it to smtpd_command_filter: without its CRLF, after
 * TLS, before Postfix parses it.
 *
 * The parser never fails: a line that is no SMTP command is SMTP_VERB_NONE. It reads lines as
 * Postfix does (smtpd_token.c: words apart by isspace(), quotes and angle brackets kept whole,
 * "FROM:" and "TO:" words of their own, verbs in any case), since what counts is what Postfix
 * will make of the line. Pure; the result points into the line.
 */
#ifndef BDAT_SMTP_COMMAND_H
#define BDAT_SMTP_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum smtp_verb {
    SMTP_VERB_NONE, /* no SMTP command: message text read as a command, or noise */
    SMTP_VERB_AUTH,
    SMTP_VERB_BDAT,
    SMTP_VERB_DATA,
    SMTP_VERB_EHLO,
    SMTP_VERB_HELO,
    SMTP_VERB_MAIL,
    SMTP_VERB_NOOP,
    SMTP_VERB_QUIT,
    SMTP_VERB_RCPT,
    SMTP_VERB_RSET,
    SMTP_VERB_STARTTLS,
    SMTP_VERB_XCLIENT,
    SMTP_VERB_OTHER, /* VRFY, HELP, ETRN, XFORWARD and other registered or well-known verbs, and
                        private ones: words in capitals that begin with X (RFC 5321, 4.1.5) */
};

/* The BODY parameter of MAIL (RFC 6152, RFC 3030). */
enum smtp_body { SMTP_BODY_7BIT, SMTP_BODY_8BITMIME, SMTP_BODY_BINARYMIME, SMTP_BODY_UNKNOWN };

/* A part of the line; `text` is not NUL-terminated. */
struct slice {
    const char *text;
    size_t length;
};

struct smtp_command {
    enum smtp_verb verb;
    bool malformed;        /* the verb is known, its arguments break the verb's syntax */
    bool prose;            /* MAIL, DATA, RSET, QUIT: malformed, and two words or more behind the
                              verb, nothing that a client would have put there: message text */
    struct slice argument; /* HELO, EHLO: the name. MAIL, RCPT: the path without its brackets.
                              Others, and where malformed: all behind the verb */
    uint64_t octets;       /* BDAT: the chunk size */
    bool last;             /* BDAT: LAST was given */
    bool has_size;         /* MAIL: SIZE was given (RFC 1870) */
    uint64_t size;         /* MAIL: its value in octets */
    enum smtp_body body;   /* MAIL: BODY, 7BIT if not given */
};

/* Parses one line of `length` octets into *command. */
void smtp_command_parse(const char *line, size_t length, struct smtp_command *command);

/* The verb's name in capitals; "" for SMTP_VERB_NONE and SMTP_VERB_OTHER. Static storage. */
const char *smtp_verb_name(enum smtp_verb verb);

/* True for a line that is a complete command of the kind a client sends around a message
 * (BDAT n [LAST], DATA, MAIL FROM:<…>, RCPT TO:<…>, NOOP, RSET, QUIT, EHLO or HELO name), spelt
 * as clients spell them, without anything behind. Stricter than smtp_command_parse(): it is
 * asked of message text, where "Data is good" is prose. */
bool smtp_line_is_exact_command(const char *line, size_t length);

#endif
