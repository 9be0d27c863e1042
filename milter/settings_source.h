/*
 * The text of a configuration with its @include files in place.
 *
 * libconfig could read files by itself, but its scanner ends the process when an included path is
 * a folder, cuts integers beyond 32 bits without a word (1.5), and looks for an included file
 * from the current folder. So the text is put together here: included files are found from the
 * folder of the file that names them, integers that need it get the suffix L, what no option
 * can hold (a NUL, a string that does not end on its line) is refused by line, and each line of
 * the result remembers which file and line it came from.
 */
#ifndef BDAT_SETTINGS_SOURCE_H
#define BDAT_SETTINGS_SOURCE_H

#include <stddef.h>

/* Octets that all files of a configuration may have together; depth of @include. */
#define SOURCE_OCTETS_MAX (1024 * 1024)
#define SOURCE_DEPTH_MAX 10

struct source;

/* Reads a regular file and what it includes. NULL with "FILE:LINE: what is wrong" in `error`. */
struct source *source_read_file(const char *path, char *error, size_t error_size);

/* The same for a text in memory of that name; it may include nothing. */
struct source *source_read_text(const char *name, const char *text, size_t length, char *error,
                                size_t error_size);

/* The text for config_read_string(); lives as long as the source. */
const char *source_text(const struct source *source);

/* Where line `line` (from 1) of the text came from: returns the file, which lives as long as the
 * source, and sets *file_line. A line behind the last counts as the last. */
const char *source_origin(const struct source *source, unsigned line, unsigned *file_line);

void source_free(struct source **source);

#endif
