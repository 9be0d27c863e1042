/*
 * The log: syslog (facility mail), the journal or standard error.
 *
 * Levels have a meaning: error = the operator must act, warning = something was refused or
 * lost, info = one line per transfer, debug = the steps. Thread-safe. Client text goes through
 * log_printable() first.
 *
 * Syslog, journal and standard error may each keep a writer waiting, and the event loop must
 * never wait. So from log_start() on a thread of the log's own writes, and log_write() only
 * copies the message into a ring of a fixed size: no system call but to wake that thread, no
 * memory asked for, no wait. When the ring is full new messages are lost; they are counted, and
 * the log says how many there were once it has caught up. Warnings and errors are written at
 * once, others within some ten milliseconds. Before log_start() messages are written by the
 * caller, so that what goes wrong at the start is told before anything else happens.
 *
 * A line reads "bdat-milter: warning: text" on standard error; in syslog the word of the level
 * stands before the text of every level but info, as Postfix does it. errno is left alone.
 */
#ifndef BDAT_LOG_H
#define BDAT_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

/* Starts the log's thread; to be called once, after the last fork(2). -1 when there can be none:
 * callers go on writing themselves. */
int log_start(struct log *log) __attribute__((warn_unused_result));

/* Changes target and level in place, after a reload. */
void log_reconfigure(struct log *log, enum log_target target, enum log_level level);

/* Waits until all is written, for at most three seconds: before the program ends in a hurry. */
void log_flush(struct log *log);

/* Writes what waits, for at most three seconds, closes the log and nulls the pointer; NULL is
 * fine. */
void log_close(struct log **log);

struct log_counts {
    size_t waiting; /* messages to be written */
    uint64_t lost;  /* since the start */
};
struct log_counts log_counts(struct log *log);

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

#define LOG_FIELDS_MAX 12

/* The same with up to LOG_FIELDS_MAX journal fields, which other targets leave out. When the
 * journal does not take a message it goes to standard error. */
void log_write_fields(struct log *log, enum log_level level, const struct log_field *fields,
                      size_t field_count, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Copies client text so that no reader of a log or terminal is harmed: control characters,
 * DEL and C1 controls become one '?' each, so does each octet of invalid UTF-8 (RFC 3629), quotes
 * and backslash stay. `size` is at least 1. Always ends in NUL, cuts at `size` at a character's
 * boundary; returns `buffer`. */
char *log_printable(const char *text, size_t length, char *buffer, size_t size);

#endif
