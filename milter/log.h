/*
 * The log: syslog (facility mail), the journal or standard error.
 *
 * Levels have a meaning: error = the operator must act, warning = something was refused or
 * lost, info = one line per transfer, debug = the steps. Thread-safe; never blocks on disk
 * other than syslog(3) itself does. Client text goes through log_printable() first.
 *
 * A line reads "bdat-milter: warning: text" on standard error; in syslog the word of the level
 * stands before the text of every level but info, as Postfix does it. errno is left alone.
 */
#ifndef BDAT_LOG_H
#define BDAT_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
#define LOG_LEVEL_COUNT 4

enum log_target { LOG_TARGET_SYSLOG, LOG_TARGET_STDERR, LOG_TARGET_JOURNAL };
#define LOG_TARGET_COUNT 3

struct log;

/* Names of levels ("error" …) and targets ("syslog", "stderr", "journal"). Static storage. */
const char *log_level_name(enum log_level level);
const char *log_target_name(enum log_target target);

/* False for the journal in a build without libsystemd. */
bool log_target_is_built_in(enum log_target target);

/* Opens a log of that program name (static storage). NULL when memory is short. One log a
 * process: syslog(3) knows no more than one name. */
struct log *log_open(const char *ident, enum log_target target, enum log_level level);

/* Changes target and level in place, after a reload. */
void log_reconfigure(struct log *log, enum log_target target, enum log_level level);

/* Closes the log and nulls the pointer; NULL is fine. */
void log_close(struct log **log);

/* True if a message of that level would be written: lets a caller skip costly formatting. */
bool log_wants(const struct log *log, enum log_level level);

/* Writes one message of one line, without a line end; a control character that slipped into it
 * is written as '?'. */
void log_write(struct log *log, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A field of the journal beside MESSAGE; name in capitals (BDAT_QUEUE_ID). */
struct log_field {
    const char *name;
    const char *value;
};

/* The same with up to 12 journal fields, which other targets leave out. When the journal does not
 * take a message it goes to standard error. */
void log_write_fields(struct log *log, enum log_level level, const struct log_field *fields,
                      size_t field_count, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Copies client text so that no reader of a log or terminal is harmed: control characters,
 * DEL and C1 controls become one '?' each, so does each octet of invalid UTF-8 (RFC 3629), quotes
 * and backslash stay. `size` is at least 1. Always ends in NUL, cuts at `size` at a character's
 * boundary; returns `buffer`. */
char *log_printable(const char *text, size_t length, char *buffer, size_t size);

#endif
