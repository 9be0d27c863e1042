/*
 * What the milter sees of a message's content: the body, in pieces of any size.
 *
 * Postfix hands a milter the body with every line ended by CRLF (cleanup(8)), whatever the
 * client sent, and without the header. So the scanner looks for what line ends cannot hide: the
 * tail, lines that begin with a dot, lines beyond line_length_limit, a MIME multipart that is
 * never closed, BDAT command lines inside the text. Pure; fixed size; a body of any length is fed
 * in pieces cut anywhere and gives the same facts.
 */
#ifndef BDAT_CONTENT_H
#define BDAT_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Octets of the body's end that are kept for a look at its last lines. */
#define CONTENT_TAIL_SIZE 1024

/* Octets kept of a line's begin: a MIME boundary of 70 octets, dashes and CR (RFC 2046 5.1.1). */
#define CONTENT_HEAD_SIZE 80

/* A multipart's first delimiter stands within this many lines of the body. */
#define CONTENT_PREAMBLE_LINES 32

/* BDAT command lines (in capitals, as clients spell them) inside the text whose ends are kept;
 * the rest goes uncounted. */
#define CONTENT_COMMANDS_KEPT 16

/* Postfix cuts lines at line_length_limit: its default, and the least it can be set to. */
#define CONTENT_LINE_LIMIT 2048
#define CONTENT_LINE_LIMIT_MIN 512

/* What the first line that is not empty says of a body. A multipart begins with its delimiter, or
 * with a preamble such as "This is a multi-part message in MIME format"; in anything else a
 * delimiter is quoted, and the text is not to be taken for a multipart. */
enum content_begin { CONTENT_UNSEEN, CONTENT_MULTIPART, CONTENT_TEXT };

struct content {
    uint64_t octets;      /* fed so far */
    uint64_t lines;       /* line ends seen */
    uint64_t splits;      /* sum of line length / CONTENT_LINE_LIMIT */
    uint64_t splits_most; /* sum of line length / CONTENT_LINE_LIMIT_MIN */
    uint64_t dot_lines;   /* lines that begin with a single dot, among them a last lone dot */
    uint64_t line_length; /* octets of the current line so far */
    size_t head_length;   /* octets of the current line in `head` */
    enum content_begin begin;
    size_t boundary_length;
    bool part_opened;     /* the line before was a possible boundary, kept in `candidate` */
    bool boundary_closed; /* "--boundary--" was seen */
    unsigned command_count;
    size_t candidate_length;
    char head[CONTENT_HEAD_SIZE];
    char boundary[CONTENT_HEAD_SIZE]; /* of the outermost multipart, with its two dashes */
    char candidate[CONTENT_HEAD_SIZE];
    uint64_t command_ends[CONTENT_COMMANDS_KEPT];    /* body offsets behind their CRLF */
    uint32_t command_lengths[CONTENT_COMMANDS_KEPT]; /* octets with CRLF */
    size_t tail_length;
    char tail[CONTENT_TAIL_SIZE];
};

/* Begins a new body. */
void content_reset(struct content *content);

/* Takes the next `length` octets of the body. */
void content_feed(struct content *content, const char *data, size_t length);

/* Ends the body: a last line without its line end is counted as a line. */
void content_finish(struct content *content);

/* True if a MIME multipart in the body was opened and its close delimiter never came. */
bool content_has_open_multipart(const struct content *content);

/* True if the last line is a lone dot and no other line begins with a single dot. */
bool content_ends_in_lone_dot(const struct content *content);

/*
 * The run of SMTP command lines that ends the body: sums[i] is the number of octets, with line
 * ends, of the last i + 1 lines, as long as all of them are commands. Returns how many sums were
 * written, at most `most`.
 */
size_t content_command_tail(const struct content *content, uint64_t *sums, size_t most);

#endif
