/*
 * Which key a configuration sets twice: libconfig tells the line alone, and a line may set many.
 *
 * Pure.
 */
#ifndef BDAT_SETTINGS_TWICE_H
#define BDAT_SETTINGS_TWICE_H

#include <stdbool.h>

#define SETTINGS_TWICE_KEY_SIZE 128

struct settings_twice {
    char key[SETTINGS_TWICE_KEY_SIZE]; /* "limits.max_chunk"; cut if it is longer */
    unsigned first_line;               /* lines count from 1 */
    unsigned line;
};

/* Finds the first key that is set again within its group. `text` ends in NUL and holds no comments
 * (see source_text()). False if there is none, or memory is short. */
bool settings_find_twice(const char *text, struct settings_twice *found);

#endif
