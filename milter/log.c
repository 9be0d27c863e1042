#include "config.h"

#include "milter/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>

#ifdef HAVE_LIBSYSTEMD
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>
#endif

/* What a line holds before memory is asked for. */
#define LINE_SIZE 1024

/* MESSAGE, PRIORITY, SYSLOG_IDENTIFIER, SYSLOG_FACILITY and the caller's own. */
#define FIELDS_OWN 4
#define FIELDS_MAX 12

struct log {
    const char *ident;
    atomic_int target;
    atomic_int level;
    pthread_mutex_t lock; /* one line after the other on stderr */
};

struct level_row {
    const char *name;
    int priority; /* of syslog(3) */
};

static const struct level_row levels[LOG_LEVEL_COUNT] = {
    [LOG_LEVEL_ERROR] = {"error", LOG_ERR},
    [LOG_LEVEL_WARNING] = {"warning", LOG_WARNING},
    [LOG_LEVEL_INFO] = {"info", LOG_INFO},
    [LOG_LEVEL_DEBUG] = {"debug", LOG_DEBUG},
};

static const char *const targets[LOG_TARGET_COUNT] = {
    [LOG_TARGET_SYSLOG] = "syslog",
    [LOG_TARGET_STDERR] = "stderr",
    [LOG_TARGET_JOURNAL] = "journal",
};

const char *log_level_name(enum log_level level)
{
    return levels[level].name;
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

struct log *log_open(const char *ident, enum log_target target, enum log_level level)
{
    struct log *log = calloc(1, sizeof(*log));

    if (log == NULL)
        return NULL;
    if (pthread_mutex_init(&log->lock, NULL) != 0) {
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

void log_close(struct log **log)
{
    if (*log == NULL)
        return;
    closelog();
    pthread_mutex_destroy(&(*log)->lock);
    free(*log);
    *log = NULL;
}

bool log_wants(const struct log *log, enum log_level level)
{
    return (int)level <= atomic_load_explicit(&log->level, memory_order_relaxed);
}

static void write_stderr(struct log *log, enum log_level level, const char *text)
{
    struct iovec parts[] = {
        {(void *)(uintptr_t)log->ident, strlen(log->ident)},
        {(void *)(uintptr_t) ": ", 2},
        {(void *)(uintptr_t)levels[level].name, strlen(levels[level].name)},
        {(void *)(uintptr_t) ": ", 2},
        {(void *)(uintptr_t)text, strlen(text)},
        {(void *)(uintptr_t) "\n", 1},
    };
    ssize_t written;

    pthread_mutex_lock(&log->lock);
    do {
        written = writev(STDERR_FILENO, parts, sizeof(parts) / sizeof(parts[0]));
    } while (written < 0 && errno == EINTR);
    pthread_mutex_unlock(&log->lock);
}

#ifdef HAVE_LIBSYSTEMD

/* "NAME=value" as the journal wants it; the text is the caller's to free. */
static bool journal_field(struct iovec *part, const char *name, const char *value)
{
    char *text;
    int length = asprintf(&text, "%s=%s", name, value);

    if (length < 0)
        return false;
    part->iov_base = text;
    part->iov_len = (size_t)length;
    return true;
}

static bool write_journal(struct log *log, enum log_level level, const struct log_field *fields,
                          size_t count, const char *text)
{
    char priority[] = {(char)('0' + levels[level].priority), '\0'};
    const struct log_field own[FIELDS_OWN] = {
        {"MESSAGE", text},
        {"PRIORITY", priority},
        {"SYSLOG_IDENTIFIER", log->ident},
        {"SYSLOG_FACILITY", "2"}, /* mail: LOG_MAIL >> 3 */
    };
    struct iovec parts[FIELDS_OWN + FIELDS_MAX];
    int used = 0;
    bool sent = true;

    for (size_t i = 0; sent && i < FIELDS_OWN; i++)
        if ((sent = journal_field(&parts[used], own[i].name, own[i].value)))
            used++;
    for (size_t i = 0; sent && i < count && i < FIELDS_MAX; i++)
        if ((sent = journal_field(&parts[used], fields[i].name, fields[i].value)))
            used++;
    if (sent)
        sent = sd_journal_sendv(parts, used) >= 0;
    while (used > 0)
        free(parts[--used].iov_base);
    return sent;
}

#else

static bool write_journal(struct log *log, enum log_level level, const struct log_field *fields,
                          size_t count, const char *text)
{
    (void)log, (void)level, (void)fields, (void)count, (void)text;
    return false; /* settings_load() takes no such target */
}

#endif

/* One message is one line: a line end or an escape that slipped in does no harm. */
static void keep_to_one_line(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

static void write_text(struct log *log, enum log_level level, const struct log_field *fields,
                       size_t count, char *text)
{
    enum log_target target = (enum log_target)atomic_load(&log->target);

    keep_to_one_line(text);
    if (target == LOG_TARGET_SYSLOG)
        syslog(levels[level].priority, "%s%s%s", level == LOG_LEVEL_INFO ? "" : levels[level].name,
               level == LOG_LEVEL_INFO ? "" : ": ", text);
    else if (target != LOG_TARGET_JOURNAL || !write_journal(log, level, fields, count, text))
        write_stderr(log, level, text);
}

static void __attribute__((format(printf, 5, 0)))
write_formatted(struct log *log, enum log_level level, const struct log_field *fields, size_t count,
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
        write_text(log, level, fields, count, longer != NULL ? longer : line);
    free(longer);
    errno = error;
}

void log_write(struct log *log, enum log_level level, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    write_formatted(log, level, NULL, 0, format, arguments);
    va_end(arguments);
}

void log_write_fields(struct log *log, enum log_level level, const struct log_field *fields,
                      size_t field_count, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    write_formatted(log, level, fields, field_count, format, arguments);
    va_end(arguments);
}

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
