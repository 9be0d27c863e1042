/*
 * What Postfix's smtpd makes of BDAT chunks, octet by octet (bdat_cmd() in smtpd.c,
 * smtp_get_noexcept() in smtp_stream.c): the source of honest ledgers for tests.
 */
#ifndef BDAT_BDAT_MODEL_H
#define BDAT_BDAT_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What came of one message. */
struct bdat_model {
    size_t limit;      /* line_length_limit */
    uint64_t declared; /* D: octets of all chunks */
    uint64_t received; /* R: as the policy service is told */
    uint64_t bare_lf;  /* b: lines that ended in LF alone */
    uint64_t unended;  /* u: 1 if the last line had no line end */
    uint64_t cuts;     /* c: lines cut at the limit */
    uint64_t extra_cr; /* e: CRs dropped before CRLF */
    char *text;        /* the message as milters see it, lines ended by CRLF */
    size_t text_length;
    size_t text_size;
    char *line; /* the line not finished yet, limit + 2 octets */
    size_t line_length;
};

/* Begins a message; the caller gives a text buffer of at least 3 octets for each octet to come
 * and a line buffer of limit + 2 octets. */
void bdat_model_begin(struct bdat_model *model, size_t limit, char *text, size_t text_size,
                      char *line);

/* Takes one chunk of exactly `length` octets. */
void bdat_model_take_chunk(struct bdat_model *model, const char *chunk, size_t length, bool last);

#endif
