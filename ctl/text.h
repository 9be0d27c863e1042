/*
 * Text for a terminal: made harmless, measured, cut and padded.
 *
 * All text is UTF-8. Widths are display columns, not octets. Functions that return char *
 * return memory of malloc(3) that the caller frees; when memory is short the program ends.
 */
#ifndef BDAT_CTL_TEXT_H
#define BDAT_CTL_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Chooses a UTF-8 locale for characters, the user's own where it is one. Call once, first. */
void text_init(void);

/* Like asprintf(3), but returns the text. */
char *text_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
char *text_vformat(const char *format, va_list arguments) __attribute__((format(printf, 1, 0)));

/* Like strdup(3) and realloc(3), but never return NULL. */
char *text_copy(const char *text);
void *text_resize(void *memory, size_t count, size_t size);

/* Appends to a text that is being built; both are freed, the result is the caller's to free. */
char *text_join(char *text, char *more);

/* A copy of `text` that cannot harm a terminal: control characters (C0, DEL, C1), invalid UTF-8,
 * characters that cannot be printed and those that turn the direction of writing become '?'.
 * With `keep_newlines`, LF and TAB stay. */
char *text_safe(const char *text, bool keep_newlines);

/* Display columns of text that text_safe() has passed. */
size_t text_width(const char *text);

/* Number of octets of `text` that fit into `columns`, at a character's boundary. */
size_t text_fit(const char *text, size_t columns);

/* Writes `text`, padded with spaces to `columns`, on the left if `right_aligned`. */
void text_pad(FILE *out, const char *text, size_t columns, bool right_aligned);

/* Writes `text` broken at spaces into lines of at most `columns`, each with `indent` in front;
 * a word that is longer than a line stands alone. */
void text_wrap(FILE *out, const char *text, const char *indent, size_t columns);

/* "1 chunk", "2 chunks": count and noun, with an s unless count is 1. */
char *text_count(int64_t count, const char *noun);

/* A number with its digits in groups: "1,234,567". */
char *text_number(int64_t number);

/* Seconds as people say them: "42 s", "5 min", "3 h", "12 d". */
char *text_duration(double seconds);

/* Levenshtein distance of two short words, for "did you mean". */
unsigned text_distance(const char *a, const char *b);

#endif
