#include "config.h"

#include "milter/log_output.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>

#ifdef HAVE_LIBSYSTEMD
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>
#endif

/* PRIORITY, SYSLOG_IDENTIFIER and SYSLOG_FACILITY. */
#define FIELDS_OWN 3

static const int priorities[LOG_LEVEL_COUNT] = {
    [LOG_LEVEL_ERROR] = LOG_ERR,
    [LOG_LEVEL_WARNING] = LOG_WARNING,
    [LOG_LEVEL_INFO] = LOG_INFO,
    [LOG_LEVEL_DEBUG] = LOG_DEBUG,
};

static struct iovec part_of(const char *text)
{
    return (struct iovec){(void *)(uintptr_t)text, strlen(text)};
}

static void write_stderr(const char *ident, const struct log_entry *entry)
{
    const struct iovec parts[] = {
        part_of(ident), part_of(": "),        part_of(log_level_name(entry->level)),
        part_of(": "),  part_of(entry->text), part_of("\n"),
    };
    ssize_t written;
    do {
        written = writev(STDERR_FILENO, parts, sizeof(parts) / sizeof(parts[0]));
    } while (written < 0 && errno == EINTR);
}

static void write_syslog(const struct log_entry *entry)
{
    bool plain = entry->level == LOG_LEVEL_INFO;
    syslog(priorities[entry->level], "%s%s%s", plain ? "" : log_level_name(entry->level),
           plain ? "" : ": ", entry->text);
}

#ifdef HAVE_LIBSYSTEMD

static bool write_journal(const char *ident, const struct log_entry *entry)
{
    char priority[] = "PRIORITY=0", identifier[64];
    struct iovec parts[FIELDS_OWN + LOG_FIELDS_MAX + 1];
    int used = 0;
    priority[sizeof(priority) - 2] = (char)('0' + priorities[entry->level]);
    snprintf(identifier, sizeof(identifier), "SYSLOG_IDENTIFIER=%s", ident);
    parts[used++] = part_of(entry->fields[0]);
    parts[used++] = part_of(priority);
    parts[used++] = part_of(identifier);
    parts[used++] = part_of("SYSLOG_FACILITY=2"); /* mail: LOG_MAIL >> 3 */
    for (size_t i = 1; i < entry->count; i++)
        parts[used++] = part_of(entry->fields[i]);
    return sd_journal_sendv(parts, used) >= 0;
}

#else

static bool write_journal(const char *ident, const struct log_entry *entry)
{
    (void)ident, (void)entry;
    return false; /* settings_load() takes no such target */
}

#endif

void log_output_write(const char *ident, const struct log_entry *entry)
{
    if (entry->target == LOG_TARGET_SYSLOG)
        write_syslog(entry);
    else if (entry->target != LOG_TARGET_JOURNAL || !write_journal(ident, entry))
        write_stderr(ident, entry);
}
