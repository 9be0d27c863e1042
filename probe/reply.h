/*
 * SMTP replies, parsed from octets as they come (RFC 5321, section 4.2).
 *
 * The parser trusts nothing: line length, number of lines and total text are limited, the
 * code must stand on every line and stay the same, and what is kept is made printable.
 * It does no I/O and allocates nothing.
 */
#ifndef BDAT_PROBE_REPLY_H
#define BDAT_PROBE_REPLY_H

#include <stdbool.h>
#include <stddef.h>

#define REPLY_MAX_LINE 2048  /* octets of one line, without its line end (the RFC says 512) */
#define REPLY_MAX_LINES 128  /* lines of one reply */
#define REPLY_MAX_TEXT 16384 /* octets kept of one reply */

enum reply_status {
    REPLY_MORE,     /* feed more octets */
    REPLY_DONE,     /* a whole reply is there */
    REPLY_NOT_SMTP, /* a line that is no reply line; reply.text holds it */
    REPLY_TOO_LONG, /* one of the limits above was broken */
};

/* One reply. `text` is the lines without their codes, joined by '\n', NUL at the end;
 * control characters and octets above 126 stand as '?'. */
struct reply {
    int code; /* 200 to 599; 0 as long as none is known */
    unsigned lines;
    size_t length; /* of text */
    char text[REPLY_MAX_TEXT + 1];
};

struct reply_parser {
    struct reply reply;
    size_t line_length;
    char line[REPLY_MAX_LINE + 1];
};

/* Makes the parser ready for the next reply. */
void reply_parser_reset(struct reply_parser *parser);

/* Feeds `length` octets at `data`; *used says how many were taken: with REPLY_DONE the
 * octets behind the reply stay with the caller. After any status but REPLY_MORE the result
 * is in parser->reply until the parser is reset. */
enum reply_status reply_parser_feed(struct reply_parser *parser, const char *data, size_t length,
                                    size_t *used);

/* True for 2xx. */
bool reply_is_success(const struct reply *reply);

/* True for 4xx and 5xx. */
bool reply_is_refusal(const struct reply *reply);

/* True for 500 to 509: the command or its place in the sequence is at fault, and not policy (RFC
 * 5321, section 4.2.1). */
bool reply_is_syntax(const struct reply *reply);

/* Writes "250 first line" to `buffer`, with "(+n lines)" behind it where there are more.
 * Returns buffer. */
const char *reply_summary(const struct reply *reply, char *buffer, size_t size);

/* Finds an EHLO keyword (letter case does not matter) in the lines behind the first.
 * Returns its parameters ("" when there are none), or NULL when the keyword is not there.
 * The result is a copy in `parameters` of `size` octets, cut if need be. */
const char *reply_ehlo_keyword(const struct reply *reply, const char *keyword, char *parameters,
                               size_t size);

#endif
