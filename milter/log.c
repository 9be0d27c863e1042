#include "config.h"

#include "milter/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "milter/log_output.h"
#include "milter/log_ring.h"
#include "milter/thread.h"

/* What a line holds before memory is asked for. */
#define LINE_SIZE 1024

/* Room for messages that wait to be written, some thousands. */
#define RING_SIZE (1024 * 1024)

/* How long messages below a warning are gathered, so that the thread wakes up for many of them. */
#define GATHER_MS 20

/* How long the end of the program waits for a target that takes nothing. */
#define FLUSH_TIMEOUT_MS 3000

struct log {
    const char *ident;
    atomic_int target;
    atomic_int level;
    pthread_mutex_t lock;    /* of all below */
    pthread_cond_t filled;   /* there is something to write */
    pthread_cond_t finished; /* all is written, or the thread has ended */
    struct log_ring *ring;
    bool started; /* the thread writes, else whoever logs */
    bool urgent;  /* a warning or an error waits */
    bool flushing;
    bool closing;
    bool done; /* the thread has ended */
    uint64_t lost;
    uint64_t lost_said;
    pthread_t thread;
};

static const char *const levels[LOG_LEVEL_COUNT] = {
    [LOG_LEVEL_ERROR] = "error",
    [LOG_LEVEL_WARNING] = "warning",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_DEBUG] = "debug",
};

static const char *const targets[LOG_TARGET_COUNT] = {
    [LOG_TARGET_SYSLOG] = "syslog",
    [LOG_TARGET_STDERR] = "stderr",
    [LOG_TARGET_JOURNAL] = "journal",
};

const char *log_level_name(enum log_level level)
{
    return levels[level];
}

const char *log_target_name(enum log_target target)
{
    return targets[target];
}

bool log_target_is_built_in(enum log_target target)
{
#ifdef HAVE_LIBSYSTEMD
    (void)target;
    return true;
#else
    return target != LOG_TARGET_JOURNAL;
#endif
}

static int init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    int error = pthread_condattr_init(&attributes);
    if (error != 0)
        return error;
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    error = pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
    return error;
}

struct log *log_open(const char *ident, enum log_target target, enum log_level level)
{
    struct log *log = calloc(1, sizeof(*log));

    if (log == NULL)
        return NULL;
    log->ring = log_ring_new(RING_SIZE);
    if (log->ring == NULL || pthread_mutex_init(&log->lock, NULL) != 0 ||
        init_condition(&log->filled) != 0 || init_condition(&log->finished) != 0) {
        log_ring_free(&log->ring);
        free(log);
        return NULL;
    }
    log->ident = ident;
    log_reconfigure(log, target, level);
    openlog(ident, LOG_PID, LOG_MAIL); /* connects with the first message only */
    return log;
}

void log_reconfigure(struct log *log, enum log_target target, enum log_level level)
{
    atomic_store(&log->target, (int)target);
    atomic_store(&log->level, (int)level);
}

bool log_wants(const struct log *log, enum log_level level)
{
    return (int)level <= atomic_load_explicit(&log->level, memory_order_relaxed);
}

/* ---- writing: by the log's thread, or by the caller as long as there is none ---- */

/* What was lost is said as soon as there is nothing else to say, so once for each flood. */
static void say_what_was_lost(struct log *log)
{
    char text[128];
    if (log->lost == log->lost_said || log_ring_count(log->ring) > 0)
        return;
    snprintf(text, sizeof(text), "log: %llu messages were lost: the log takes them too slowly",
             (unsigned long long)(log->lost - log->lost_said));
    if (log_ring_put(log->ring, LOG_LEVEL_WARNING, (enum log_target)atomic_load(&log->target), text,
                     NULL, 0))
        log->lost_said = log->lost;
}

/* Writes all that waits. With the lock held; the log's thread lets go of it while it writes. */
static void write_waiting(struct log *log, bool by_thread)
{
    struct log_entry entry;
    while (log_ring_peek(log->ring, &entry)) {
        if (by_thread)
            pthread_mutex_unlock(&log->lock);
        log_output_write(log->ident, &entry);
        if (by_thread)
            pthread_mutex_lock(&log->lock);
        log_ring_pop(log->ring);
        say_what_was_lost(log);
    }
    log->urgent = false;
}

static struct timespec in_ms(int64_t ms)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    time.tv_sec += ms / 1000;
    time.tv_nsec += ms % 1000 * 1000000;
    if (time.tv_nsec >= 1000000000) {
        time.tv_sec++;
        time.tv_nsec -= 1000000000;
    }
    return time;
}

static void wait_for_messages(struct log *log)
{
    while (!log->closing && log_ring_count(log->ring) == 0)
        pthread_cond_wait(&log->filled, &log->lock);
    const struct timespec until = in_ms(GATHER_MS);
    while (!log->closing && !log->flushing && !log->urgent && !log_ring_is_half_full(log->ring))
        if (pthread_cond_timedwait(&log->filled, &log->lock, &until) != 0)
            break;
}

static void *run(void *context)
{
    struct log *log = context;
    pthread_mutex_lock(&log->lock);
    while (!log->closing || log_ring_count(log->ring) > 0) {
        wait_for_messages(log);
        write_waiting(log, true);
        if (log->flushing)
            pthread_cond_broadcast(&log->finished);
    }
    log->done = true;
    pthread_cond_broadcast(&log->finished);
    pthread_mutex_unlock(&log->lock);
    return NULL;
}

int log_start(struct log *log)
{
    pthread_mutex_lock(&log->lock);
    log->started = thread_start(&log->thread, run, log) == 0;
    pthread_mutex_unlock(&log->lock);
    return log->started ? 0 : -1;
}

void log_flush(struct log *log)
{
    const struct timespec until = in_ms(FLUSH_TIMEOUT_MS);
    pthread_mutex_lock(&log->lock);
    log->flushing = true;
    pthread_cond_signal(&log->filled);
    while (log->started && log_ring_count(log->ring) > 0)
        if (pthread_cond_timedwait(&log->finished, &log->lock, &until) != 0)
            break;
    log->flushing = false;
    pthread_mutex_unlock(&log->lock);
}

/* Lets the thread write what waits and end; false if its target keeps it. */
static bool stop_thread(struct log *log)
{
    const struct timespec until = in_ms(FLUSH_TIMEOUT_MS);
    pthread_mutex_lock(&log->lock);
    log->closing = true;
    pthread_cond_signal(&log->filled);
    while (!log->done)
        if (pthread_cond_timedwait(&log->finished, &log->lock, &until) != 0)
            break;
    bool done = log->done;
    pthread_mutex_unlock(&log->lock);
    if (done)
        pthread_join(log->thread, NULL);
    else
        pthread_detach(log->thread);
    return done;
}

void log_close(struct log **log)
{
    struct log *old = *log;
    *log = NULL;
    if (old == NULL || (old->started && !stop_thread(old)))
        return; /* a thread that is kept goes with the process, and so does what it uses */
    closelog();
    pthread_cond_destroy(&old->filled);
    pthread_cond_destroy(&old->finished);
    pthread_mutex_destroy(&old->lock);
    log_ring_free(&old->ring);
    free(old);
}

struct log_counts log_counts(struct log *log)
{
    pthread_mutex_lock(&log->lock);
    const struct log_counts counts = {log_ring_count(log->ring), log->lost};
    pthread_mutex_unlock(&log->lock);
    return counts;
}

/* ---- taking messages ---- */

/* One message is one line: a line end or an escape that slipped in does no harm. */
static void keep_to_one_line(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

static void take_text(struct log *log, enum log_level level, const struct log_field *fields,
                      size_t count, char *text)
{
    enum log_target target = (enum log_target)atomic_load(&log->target);
    keep_to_one_line(text);
    pthread_mutex_lock(&log->lock);
    bool asleep = log_ring_count(log->ring) == 0;
    bool urgent = level <= LOG_LEVEL_WARNING && !log->urgent;
    if (!log_ring_put(log->ring, level, target, text, fields, count))
        log->lost++;
    else if (urgent)
        log->urgent = true;
    if (!log->started)
        write_waiting(log, false);
    else if (asleep || urgent || log_ring_is_half_full(log->ring))
        pthread_cond_signal(&log->filled);
    pthread_mutex_unlock(&log->lock);
}

static void __attribute__((format(printf, 5, 0)))
take_formatted(struct log *log, enum log_level level, const struct log_field *fields, size_t count,
               const char *format, va_list arguments)
{
    char line[LINE_SIZE], *longer = NULL;
    va_list again;

    if (!log_wants(log, level))
        return;
    int error = errno;
    va_copy(again, arguments);
    int length = vsnprintf(line, sizeof(line), format, arguments);
    if (length >= (int)sizeof(line) && (longer = malloc((size_t)length + 1)) != NULL)
        vsnprintf(longer, (size_t)length + 1, format, again);
    va_end(again);
    if (length >= 0)
        take_text(log, level, fields, count, longer != NULL ? longer : line);
    free(longer);
    errno = error;
}

void log_write(struct log *log, enum log_level level, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    take_formatted(log, level, NULL, 0, format, arguments);
    va_end(arguments);
}

void log_write_fields(struct log *log, enum log_level level, const struct log_field *fields,
                      size_t field_count, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    take_formatted(log, level, fields, field_count, format, arguments);
    va_end(arguments);
}

/* ---- client text ---- */

/* The length of the character that begins at `text` if it is well-formed (RFC 3629, table of
 * section 4), else 0. */
static size_t utf8_length(const unsigned char *text, size_t length)
{
    unsigned char first = text[0], low = 0x80, high = 0xbf;
    size_t want;

    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    want = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (first == 0xe0)
        low = 0xa0; /* shorter forms exist */
    else if (first == 0xed)
        high = 0x9f; /* surrogates */
    else if (first == 0xf0)
        low = 0x90;
    else if (first == 0xf4)
        high = 0x8f; /* beyond U+10FFFF */
    if (length < want || text[1] < low || text[1] > high)
        return 0;
    for (size_t i = 2; i < want; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    return want;
}

static bool is_control(const unsigned char *character, size_t length)
{
    if (length == 1)
        return character[0] < 0x20 || character[0] == 0x7f;
    return length == 2 && character[0] == 0xc2 && character[1] < 0xa0; /* U+0080 to U+009F */
}

char *log_printable(const char *text, size_t length, char *buffer, size_t size)
{
    const unsigned char *from = (const unsigned char *)text;
    size_t at = 0, used = 0;

    while (at < length) {
        size_t octets = utf8_length(from + at, length - at);
        bool harmless = octets > 0 && !is_control(from + at, octets);
        size_t written = harmless ? octets : 1;
        if (written >= size - used)
            break;
        if (harmless)
            memcpy(buffer + used, from + at, octets);
        else
            buffer[used] = '?';
        used += written;
        at += octets > 0 ? octets : 1;
    }
    buffer[used] = '\0';
    return buffer;
}
