/*
 * Colours: only on a terminal, and not when NO_COLOR is set (https://no-color.org).
 */
#ifndef BDAT_CTL_STYLE_H
#define BDAT_CTL_STYLE_H

#include <stdbool.h>
#include <stdio.h>

enum tone { TONE_PLAIN, TONE_GOOD, TONE_WARN, TONE_BAD, TONE_DIM, TONE_BOLD };

/* True if what is written to `out` may be coloured. */
bool style_wanted(FILE *out);

/* The escape sequence that begins a tone, "" when `colour` is false; style_end() likewise. */
const char *style_begin(bool colour, enum tone tone);
const char *style_end(bool colour, enum tone tone);

/* The tone of a verdict, of a client's state, and of an action, by its word. */
enum tone style_verdict(const char *verdict);
enum tone style_state(const char *state);

/* Columns of the terminal behind `out`; 80 when it is none. */
size_t style_columns(FILE *out);

#endif
