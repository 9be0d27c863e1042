/*
 * Skips the lines of a message body that hold nothing of interest, as fast as memory allows.
 *
 * content.c looks at lines that begin with a dot, a dash or "BD" (a BDAT command), and at long
 * ones. Nearly all lines of nearly all mail are none of these; this module counts them, many
 * octets at a time. Pure.
 */
#ifndef BDAT_PLAIN_LINES_H
#define BDAT_PLAIN_LINES_H

#include <stddef.h>
#include <stdint.h>

/* Lines of this many octets, line end not counted, are not plain. */
#define PLAIN_LINE_MAX 512

struct plain_lines {
    size_t skipped; /* octets: whole plain lines, so a line begins there */
    uint64_t lines; /* their number */
    size_t look;    /* lines that begin before this offset are to be looked at one by one; at
                       least the one at `skipped` */
};

/* Skips plain lines at the begin of `text`, which is the begin of a line. Plain lines may be left
 * over, but none that is not plain is ever skipped. */
struct plain_lines plain_lines_skip(const char *text, size_t length);

#endif
