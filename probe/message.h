/*
 * The test messages, and the ways to cut them into chunks.
 *
 * Every message says in its text what it is, for the case that it is delivered.
 */
#ifndef BDAT_PROBE_MESSAGE_H
#define BDAT_PROBE_MESSAGE_H

#include <stddef.h>

#define MESSAGE_MAX_CHUNKS 64
#define MESSAGE_LARGE_CHUNK 65536
#define MESSAGE_LARGE_SIZE ((size_t)16 * MESSAGE_LARGE_CHUNK)
#define MESSAGE_LONG_LINE 10000

enum message_kind {
    MESSAGE_PLAIN,        /* ASCII, short lines, some of them beginning with a dot */
    MESSAGE_8BIT,         /* UTF-8 */
    MESSAGE_BINARY,       /* every octet there is, with bare CR, bare LF and NUL */
    MESSAGE_LONG_LINES,   /* a line of MESSAGE_LONG_LINE octets */
    MESSAGE_UNTERMINATED, /* the last line has no line end */
    MESSAGE_LARGE,        /* MESSAGE_LARGE_SIZE octets, or less if the server says so */
    MESSAGE_COMMANDS,     /* nothing but lines that are valid, harmless SMTP commands */
};

enum cut_kind {
    CUT_NONE,    /* one chunk */
    CUT_LINES,   /* three chunks, cut at line ends */
    CUT_IN_CRLF, /* cut between CR and LF, four times */
    CUT_TINY,    /* twenty chunks of one octet, then the rest */
    CUT_LARGE,   /* chunks of MESSAGE_LARGE_CHUNK octets */
};

struct message {
    char *data;
    size_t length;
};

/* Builds a message for the case `name` (it stands in the Subject); MESSAGE_LARGE is built to
 * `size` octets. `sender` may be "". Returns 0, or -1 when out of memory. */
int message_build(struct message *message, enum message_kind kind, const char *name,
                  const char *sender, const char *recipient, size_t size)
    __attribute__((warn_unused_result));

void message_free(struct message *message);

/* Cuts: writes the sizes of the chunks, which add up to message->length, and returns how many
 * there are (1 to MESSAGE_MAX_CHUNKS). */
unsigned message_cut(const struct message *message, enum cut_kind cut,
                     size_t sizes[MESSAGE_MAX_CHUNKS]);

/* Number of lines in MESSAGE_COMMANDS: replies a server gives that runs them. */
unsigned message_command_count(void);

#endif
