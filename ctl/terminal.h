/*
 * Whether curses can draw on this terminal. Apart from the drawing, since <term.h> claims words
 * such as "columns" and "lines" for itself.
 */
#ifndef BDAT_CTL_TERMINAL_H
#define BDAT_CTL_TERMINAL_H

#include <stdbool.h>

/* True if standard input and output are a terminal whose kind (TERM) terminfo(5) knows, and that is
 * not a dumb one. */
bool terminal_can_draw(void);

#endif
