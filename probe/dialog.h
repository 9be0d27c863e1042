/*
 * The dialog of one session, as a report shows it: bounded, printable, without secrets.
 *
 * When it is full, the oldest lines behind the opening ones make room: how a session ended
 * is what a reader wants to see.
 */
#ifndef BDAT_PROBE_DIALOG_H
#define BDAT_PROBE_DIALOG_H

#include <stdint.h>

#define DIALOG_LINES 56
#define DIALOG_HEAD 12 /* opening lines that are always kept */
#define DIALOG_TEXT 160

enum dialog_side {
    DIALOG_CLIENT, /* what was sent */
    DIALOG_SERVER, /* what came back */
    DIALOG_NOTE,   /* what happened: connected, closed, gave up */
};

struct dialog_line {
    enum dialog_side side;
    int32_t elapsed_ms; /* for DIALOG_SERVER and DIALOG_NOTE: how long it took to come */
    char text[DIALOG_TEXT];
};

struct dialog {
    unsigned count;
    unsigned omitted; /* lines left out behind the first DIALOG_HEAD */
    struct dialog_line lines[DIALOG_LINES];
};

/* Adds a line; longer text is cut, control characters become '?'. */
void dialog_add(struct dialog *dialog, enum dialog_side side, int64_t elapsed_ms,
                const char *format, ...) __attribute__((format(printf, 4, 5)));

/* "C", "S" or "-" for text; "client", "server" or "note" for JSON. Static storage. */
const char *dialog_side_letter(enum dialog_side side);
const char *dialog_side_name(enum dialog_side side);

#endif
