/*
 * The text of an SMTP reply as the configuration gives it: "451 4.5.0 declared %d, received %r".
 *
 * It begins with a reply code (RFC 5321 section 4.2: 4yz or 5yz) and an enhanced status code of
 * the same class (RFC 3463), or with the reply code alone, or with neither; what is missing is
 * chosen by verdict and action. The text behind is printable US-ASCII with placeholders: %d
 * declared octets, %r received octets, %s octets that SIZE announced, %q queue id, %v verdict,
 * %% a percent sign. Even when each placeholder is as long as can be, the reply fits one line of
 * 512 octets with its CRLF (RFC 5321 section 4.5.3.1.5). Pure.
 */
#ifndef BDAT_REPLY_H
#define BDAT_REPLY_H

#include <stddef.h>
#include <stdint.h>

#include "milter/verdict.h"

/* Room for any expanded text, with its NUL. */
#define REPLY_TEXT_SIZE 512

/* A longer queue id is cut to this in a reply; Postfix's have at most 20 octets or so. */
#define REPLY_QUEUE_ID_MAX 64

struct reply {
    char code[4];     /* "451"; "" = not given */
    char status[12];  /* "4.5.0"; "" = not given */
    const char *text; /* the rest, with placeholders; part of the parsed text */
};

/* Takes the text apart. Returns 0, or -1 with what is wrong with it in `error`. */
int reply_parse(const char *template, struct reply *reply, char *error, size_t error_size)
    __attribute__((warn_unused_result));

/* Fills in the codes that the configuration left open. `action` is ACTION_TEMPFAIL or
 * ACTION_REJECT; the class of a code that was given must fit it: settings_load() sees to that. */
void reply_complete(struct reply *reply, enum verdict verdict, enum action action);

/* What the placeholders stand for; -1 or NULL = not known, written as "?". */
struct reply_facts {
    int64_t declared;
    int64_t received;
    int64_t size;
    const char *queue_id;
    enum verdict verdict;
};

/* Writes the text with its placeholders filled in; returns `buffer`. Percent signs in the result
 * stand for themselves: smfi_setreply() wants them doubled. */
char *reply_expand(const char *text, const struct reply_facts *facts, char buffer[REPLY_TEXT_SIZE]);

#endif
