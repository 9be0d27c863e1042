/* The log: each target gets the right line, levels filter, and client text does no harm. */
#include "config.h"

#undef _FORTIFY_SOURCE /* or syslog is a macro or inline here and cannot be defined */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "milter/log.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* -- what syslog(3) and the journal are given: these stand before those of the libraries ---- */

static char syslog_line[4096];
static int syslog_priority;
static int syslog_calls;
static pthread_mutex_t syslog_gate = PTHREAD_MUTEX_INITIALIZER; /* held: syslog(3) hangs */
static char journal_text[4096];
static int journal_result;

void __syslog_chk(int priority, int flag, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#ifdef HAVE_LIBSYSTEMD
int sd_journal_sendv(const struct iovec *parts, int count);
#endif

static void __attribute__((format(printf, 2, 0)))
take_syslog(int priority, const char *format, va_list arguments)
{
    pthread_mutex_lock(&syslog_gate);
    syslog_priority = priority;
    syslog_calls++;
    vsnprintf(syslog_line, sizeof(syslog_line), format, arguments);
    pthread_mutex_unlock(&syslog_gate);
}

void syslog(int priority, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    take_syslog(priority, format, arguments);
    va_end(arguments);
}

void __syslog_chk(int priority, int flag, const char *format, ...)
{
    va_list arguments;
    (void)flag;
    va_start(arguments, format);
    take_syslog(priority, format, arguments);
    va_end(arguments);
}

#ifdef HAVE_LIBSYSTEMD
int sd_journal_sendv(const struct iovec *parts, int count)
{
    size_t used = 0;
    journal_text[0] = '\0';
    for (int i = 0; i < count; i++)
        used += (size_t)snprintf(journal_text + used, sizeof(journal_text) - used, "%.*s|",
                                 (int)parts[i].iov_len, (const char *)parts[i].iov_base);
    return journal_result;
}
#endif

/* -- standard error, caught in a file ------------------------------------------------------ */

static int saved_stderr = -1;
static FILE *caught;

static void catch_stderr(void)
{
    fflush(stderr);
    saved_stderr = dup(STDERR_FILENO);
    caught = tmpfile();
    assert_non_null(caught);
    assert_true(dup2(fileno(caught), STDERR_FILENO) >= 0);
    fcntl(STDERR_FILENO, F_SETFL, O_APPEND);
}

/* Ends the catch; the caller frees what was written. */
static char *release_stderr(void)
{
    off_t size = lseek(fileno(caught), 0, SEEK_END);
    char *text = calloc(1, (size_t)size + 1);
    assert_non_null(text);
    assert_int_equal(pread(fileno(caught), text, (size_t)size, 0), size);
    assert_true(dup2(saved_stderr, STDERR_FILENO) >= 0);
    close(saved_stderr);
    fclose(caught);
    return text;
}

static void expect_stderr(const char *want)
{
    char *got = release_stderr();
    assert_string_equal(got, want);
    free(got);
}

static void test_stderr_lines(void **state)
{
    struct log *log = log_open("bdat-milter", LOG_TARGET_STDERR, LOG_LEVEL_INFO);
    (void)state;
    catch_stderr();
    log_write(log, LOG_LEVEL_WARNING, "text %d", 1);
    log_write(log, LOG_LEVEL_INFO, "one");
    log_write(log, LOG_LEVEL_DEBUG, "unwanted");
    log_write(log, LOG_LEVEL_ERROR, "line\nend \x1b[31m red\x7f");
    log_reconfigure(log, LOG_TARGET_STDERR, LOG_LEVEL_DEBUG);
    log_write_fields(log, LOG_LEVEL_DEBUG, &(struct log_field){"BDAT_CLIENT", "x"}, 1, "step");
    log_reconfigure(log, LOG_TARGET_STDERR, LOG_LEVEL_ERROR);
    log_write(log, LOG_LEVEL_WARNING, "unwanted");
    expect_stderr("bdat-milter: warning: text 1\nbdat-milter: info: one\n"
                  "bdat-milter: error: line?end ?[31m red?\nbdat-milter: debug: step\n");
    log_close(&log);
    assert_null(log);
    log_close(&log);
}

static void test_long_lines_are_whole_and_errno_stays(void **state)
{
    struct log *log = log_open("p", LOG_TARGET_STDERR, LOG_LEVEL_INFO);
    (void)state;
    for (size_t length = 1020; length < 1030; length++) {
        char text[1100], want[1200];
        memset(text, 'x', length);
        text[length - 1] = 'y';
        text[length] = '\0';
        snprintf(want, sizeof(want), "p: info: %s\n", text);
        catch_stderr();
        errno = EDOM;
        log_write(log, LOG_LEVEL_INFO, "%s", text);
        assert_int_equal(errno, EDOM);
        expect_stderr(want);
    }
    log_close(&log);
}

static void test_syslog_lines(void **state)
{
    static const struct {
        enum log_level level;
        int priority;
        const char *line;
    } rows[] = {
        {LOG_LEVEL_ERROR, LOG_ERR, "error: text %s"},
        {LOG_LEVEL_WARNING, LOG_WARNING, "warning: text %s"},
        {LOG_LEVEL_INFO, LOG_INFO, "text %s"},
        {LOG_LEVEL_DEBUG, LOG_DEBUG, "debug: text %s"},
    };
    struct log *log = log_open("bdat-milter", LOG_TARGET_SYSLOG, LOG_LEVEL_DEBUG);
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        log_write(log, rows[i].level, "text %s", "%s");
        assert_string_equal(syslog_line, rows[i].line);
        assert_int_equal(syslog_priority, rows[i].priority);
    }
    log_close(&log);
}

static void test_journal_fields(void **state)
{
    static const struct log_field fields[] = {{"BDAT_QUEUE_ID", "4XyZ"}, {"BDAT_VERDICT", "lost"}};
    struct log *log = log_open("bdat-milter", LOG_TARGET_JOURNAL, LOG_LEVEL_INFO);
    (void)state;
    if (!log_target_is_built_in(LOG_TARGET_JOURNAL)) {
        log_close(&log);
        skip();
    }
    log_write_fields(log, LOG_LEVEL_WARNING, fields, COUNT(fields), "text %d", 1);
    assert_string_equal(journal_text, "MESSAGE=text 1|PRIORITY=4|SYSLOG_IDENTIFIER=bdat-milter|"
                                      "SYSLOG_FACILITY=2|BDAT_QUEUE_ID=4XyZ|BDAT_VERDICT=lost|");
    catch_stderr();
    journal_result = -ENOTCONN;
    log_write(log, LOG_LEVEL_ERROR, "not lost");
    journal_result = 0;
    expect_stderr("bdat-milter: error: not lost\n");
    log_close(&log);
}

static void test_names_and_levels(void **state)
{
    struct log *log = log_open("p", LOG_TARGET_STDERR, LOG_LEVEL_WARNING);
    (void)state;
    assert_string_equal(log_level_name(LOG_LEVEL_WARNING), "warning");
    assert_string_equal(log_target_name(LOG_TARGET_JOURNAL), "journal");
    assert_true(log_wants(log, LOG_LEVEL_ERROR));
    assert_true(log_wants(log, LOG_LEVEL_WARNING));
    assert_false(log_wants(log, LOG_LEVEL_INFO));
    log_close(&log);
}

/* -- threads ------------------------------------------------------------------------------- */

enum { WRITERS = 4, LINES = 300 };

static void *write_lines(void *argument)
{
    for (int i = 0; i < LINES; i++)
        log_write(argument, LOG_LEVEL_INFO, "a line of a thread");
    return NULL;
}

static void check_threads_do_not_mix_lines(bool with_thread)
{
    static const char line[] = "p: info: a line of a thread\n";
    struct log *log = log_open("p", LOG_TARGET_STDERR, LOG_LEVEL_INFO);
    pthread_t threads[WRITERS];
    catch_stderr();
    if (with_thread)
        assert_int_equal(log_start(log), 0);
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, log), 0);
    for (int i = 0; i < LINES; i++)
        log_reconfigure(log, LOG_TARGET_STDERR, i % 2 ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    log_close(&log);
    char *got = release_stderr();
    assert_int_equal(strlen(got), WRITERS * LINES * strlen(line));
    for (const char *p = got; *p != '\0'; p += strlen(line))
        assert_memory_equal(p, line, strlen(line));
    free(got);
}

static void test_threads_do_not_mix_lines(void **state)
{
    (void)state;
    check_threads_do_not_mix_lines(false);
    check_threads_do_not_mix_lines(true);
}

/* -- a target that takes nothing ------------------------------------------------------------ */

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Standard error becomes a pipe that is full already; returns its other end. */
static int stall_stderr(void)
{
    static char filler[65536];
    int ends[2];
    saved_stderr = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    memset(filler, '.', sizeof(filler));
    while (write(ends[1], filler, sizeof(filler)) > 0)
        continue;
    while (write(ends[1], filler, 1) > 0)
        continue;
    fcntl(ends[1], F_SETFL, 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    close(ends[1]);
    return ends[0];
}

static void restore_stderr(void)
{
    assert_true(dup2(saved_stderr, STDERR_FILENO) >= 0);
    close(saved_stderr);
}

struct reader {
    int fd;
    unsigned long numbers; /* "number N" lines seen, in ascending order */
    unsigned long lost;    /* as the log says */
    bool in_order;
};

static void read_line(struct reader *reader, char *line)
{
    static unsigned long last;
    unsigned long number;
    line += strspn(line, ".");
    if (sscanf(line, "p: info: number %lu", &number) == 1) {
        reader->in_order &= reader->numbers == 0 || number > last;
        last = number;
        reader->numbers++;
    } else if (sscanf(line, "p: warning: log: %lu messages were lost", &number) == 1) {
        reader->lost += number;
    } else {
        reader->in_order = false;
    }
}

/* Until the last writer has closed the pipe. */
static void *read_all(void *argument)
{
    struct reader *reader = argument;
    FILE *file = fdopen(reader->fd, "r");
    char *line = NULL;
    size_t size = 0;
    reader->in_order = true;
    while (getline(&line, &size, file) > 0)
        read_line(reader, line);
    free(line);
    fclose(file);
    return NULL;
}

static void test_a_stalled_reader_keeps_nobody(void **state)
{
    enum { MESSAGES = 100000 };
    struct log *log = log_open("p", LOG_TARGET_STDERR, LOG_LEVEL_INFO);
    struct reader reader = {.fd = stall_stderr()};
    double slowest = 0, begun = seconds();
    pthread_t thread;
    (void)state;
    assert_int_equal(log_start(log), 0);
    for (int i = 1; i <= MESSAGES; i++) {
        double before = seconds(), took;
        log_write(log, LOG_LEVEL_INFO, "number %d", i);
        took = seconds() - before;
        slowest = took > slowest ? took : slowest;
    }
    double all = seconds() - begun;
    struct log_counts counts = log_counts(log);
    assert_int_equal(counts.waiting + counts.lost, MESSAGES);
    assert_true(counts.lost > 0 && counts.waiting > 1000);
    assert_int_equal(pthread_create(&thread, NULL, read_all, &reader), 0);
    log_close(&log);
    restore_stderr();
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(reader.in_order);
    assert_int_equal(reader.numbers, counts.waiting);
    assert_int_equal(reader.lost, counts.lost);
    /* Microseconds each; the bounds are those of a busy machine and a slow build. */
    assert_true(slowest < 1.0);
    assert_true(all < 10.0);
}

static void test_a_stalled_syslog_keeps_nobody(void **state)
{
    struct log *log = log_open("p", LOG_TARGET_SYSLOG, LOG_LEVEL_INFO);
    (void)state;
    assert_int_equal(log_start(log), 0);
    syslog_calls = 0;
    pthread_mutex_lock(&syslog_gate);
    for (int i = 0; i < 500; i++)
        log_write(log, i % 2 ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "number %d", i);
    assert_int_equal(syslog_calls, 0);
    assert_int_equal(log_counts(log).waiting, 500);
    pthread_mutex_unlock(&syslog_gate);
    log_close(&log);
    assert_int_equal(syslog_calls, 500);
    assert_string_equal(syslog_line, "number 499");
}

static void test_flush(void **state)
{
    struct log *log = log_open("p", LOG_TARGET_SYSLOG, LOG_LEVEL_INFO);
    (void)state;
    log_flush(log);
    assert_int_equal(log_start(log), 0);
    syslog_calls = 0;
    for (int i = 1; i <= 200; i++) {
        log_write(log, LOG_LEVEL_INFO, "number %d", i);
        log_flush(log);
        assert_int_equal(log_counts(log).waiting, 0);
    }
    log_close(&log);
    assert_int_equal(syslog_calls, 200);
}

static void test_closing_waits_for_no_stalled_reader(void **state)
{
    static int other_end; /* stays open: the log's thread is kept there until the process ends */
    struct log *log = log_open("p", LOG_TARGET_STDERR, LOG_LEVEL_INFO);
    (void)state;
    other_end = stall_stderr();
    assert_int_equal(log_start(log), 0);
    log_write(log, LOG_LEVEL_ERROR, "never read");
    log_flush(log);
    double begun = seconds();
    log_close(&log);
    double took = seconds() - begun;
    restore_stderr();
    assert_null(log);
    assert_true(took > 1.0 && took < 30.0);
    assert_true(other_end >= 0);
}

/* Errors are on their way at once, other messages soon, without another one behind them. */
static void test_messages_come_by_themselves(void **state)
{
    static const enum log_level each[] = {LOG_LEVEL_INFO, LOG_LEVEL_ERROR, LOG_LEVEL_WARNING};
    struct log *log = log_open("p", LOG_TARGET_STDERR, LOG_LEVEL_INFO);
    int ends[2];
    char text[64];
    (void)state;
    assert_int_equal(pipe(ends), 0);
    saved_stderr = dup(STDERR_FILENO);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    close(ends[1]);
    assert_int_equal(log_start(log), 0);
    for (size_t i = 0; i < 3 * COUNT(each); i++) {
        struct pollfd readable = {ends[0], POLLIN, 0};
        log_write(log, each[i % COUNT(each)], "alone");
        assert_int_equal(poll(&readable, 1, 10000), 1);
        ssize_t length = read(ends[0], text, sizeof(text) - 1);
        assert_true(length > 0);
        text[length] = '\0';
        assert_non_null(strstr(text, ": alone\n"));
    }
    log_close(&log);
    restore_stderr();
    close(ends[0]);
}

/* -- client text --------------------------------------------------------------------------- */

static void test_printable(void **state)
{
    static const struct {
        const char *text;
        const char *want;
        size_t length; /* 0 = strlen(text) */
    } rows[] = {
        {"plain text", "plain text", 0},
        {"\"quotes\" and \\", "\"quotes\" and \\", 0},
        {"a\r\nb\tc", "a??b?c", 0},
        {"a\0b", "a?b", 3},
        {"\x7f", "?", 0},
        {"\x1b]0;title\x07\x1b[2J", "?]0;title??[2J", 0},
        {"\xc2\x9b"
         "31m",
         "?31m", 0}, /* CSI as a C1 control */
        {"\xc2\x80\xc2\x9f\xc2\xa0", "??\xc2\xa0", 0},
        {"\x9b"
         "31m",
         "?31m", 0}, /* a lone continuation */
        {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f", 0},
        {"\xe2\x82\xac \xf0\x9f\x98\x80", "\xe2\x82\xac \xf0\x9f\x98\x80", 0},
        {"\xc0\xaf", "??", 0}, /* overlong "/" */
        {"\xc1\xbf", "??", 0},
        {"\xe0\x80\xaf", "???", 0},
        {"\xe0\x9f\xbf", "???", 0},
        {"\xf0\x80\x80\xaf", "????", 0},
        {"\xf0\x8f\xbf\xbf", "????", 0},
        {"\xc0\x9b", "??", 0},               /* overlong ESC */
        {"\xed\x9f\xbf", "\xed\x9f\xbf", 0}, /* last before the surrogates */
        {"\xed\xa0\x80", "???", 0},          /* a surrogate */
        {"\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf", 0},
        {"\xf4\x90\x80\x80", "????", 0}, /* beyond U+10FFFF */
        {"\xf8\x88\x80\x80\x80", "?????", 0},
        {"\xff\xfe", "??", 0},
        {"a\xc3", "a?", 0}, /* cut off */
        {"a\xe2\x82", "a??", 0},
        {"a\xf0\x9f\x98", "a???", 0},
        {"\xe2\x82"
         "a",
         "??a", 0},
        {"\xe2"
         "\xc3\xbc",
         "?\xc3\xbc", 0}, /* the next one is whole */
        {"", "", 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char got[64];
        size_t length = rows[i].length != 0 ? rows[i].length : strlen(rows[i].text);
        assert_ptr_equal(log_printable(rows[i].text, length, got, sizeof(got)), got);
        assert_string_equal(got, rows[i].want);
    }
}

static void test_printable_cuts_at_characters(void **state)
{
    static const char text[] = "a\xc3\xbc\xe2\x82\xac.";
    static const size_t lengths[] = {0, 0, 1, 1, 3, 3, 3, 6, 7, 7};
    (void)state;
    for (size_t size = 1; size < COUNT(lengths); size++) {
        char got[16];
        memset(got, 'X', sizeof(got));
        log_printable(text, strlen(text), got, size);
        assert_int_equal(strlen(got), lengths[size]);
        assert_memory_equal(got, text, lengths[size]);
        assert_int_equal(got[size], 'X');
    }
}

/* A second, slow and obvious judge: decodes one code point, -1 if it is not well-formed. */
static long decode(const unsigned char *p, size_t left, size_t *used)
{
    static const long least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t want = p[0] < 0x80             ? 1
                  : (p[0] & 0xe0) == 0xc0 ? 2
                  : (p[0] & 0xf0) == 0xe0 ? 3
                  : (p[0] & 0xf8) == 0xf0 ? 4
                                          : 0;
    long point = want == 1 ? p[0] : want == 2 ? p[0] & 0x1f : want == 3 ? p[0] & 0x0f : p[0] & 7;

    *used = 1;
    if (want == 0 || want > left)
        return -1;
    for (size_t i = 1; i < want; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return -1;
        point = point << 6 | (p[i] & 0x3f);
    }
    if (point < least[want] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
        return -1;
    *used = want;
    return point;
}

static void test_printable_random_octets(void **state)
{
    static const unsigned char favourites[] = {0x00, 0x1b, 0x7f, 0x80, 0x9b, 0x9f, 0xa0,
                                               0xbf, 0xc0, 0xc1, 0xc2, 0xe0, 0xed, 0xef,
                                               0xf0, 0xf4, 0xf5, 0xff, 'a',  '"'};
    (void)state;
    srand(99);
    for (int round = 0; round < 200000; round++) {
        unsigned char text[8];
        char got[sizeof(text) * 2], want[sizeof(text) * 2];
        size_t length = (size_t)rand() % (sizeof(text) + 1), at = 0, used, end = 0;
        for (size_t i = 0; i < length; i++)
            text[i] =
                rand() % 4 ? favourites[(size_t)rand() % COUNT(favourites)] : (unsigned char)rand();
        for (; at < length; at += used) {
            long point = decode(text + at, length - at, &used);
            bool bad = point < 0x20 || (point >= 0x7f && point <= 0x9f);
            if (bad)
                want[end++] = '?';
            else
                for (size_t i = 0; i < used; i++)
                    want[end++] = (char)text[at + i];
        }
        want[end] = '\0';
        assert_string_equal(log_printable((const char *)text, length, got, sizeof(got)), want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stderr_lines),
        cmocka_unit_test(test_long_lines_are_whole_and_errno_stays),
        cmocka_unit_test(test_syslog_lines),
        cmocka_unit_test(test_journal_fields),
        cmocka_unit_test(test_names_and_levels),
        cmocka_unit_test(test_threads_do_not_mix_lines),
        cmocka_unit_test(test_a_stalled_reader_keeps_nobody),
        cmocka_unit_test(test_a_stalled_syslog_keeps_nobody),
        cmocka_unit_test(test_flush),
        cmocka_unit_test(test_closing_waits_for_no_stalled_reader),
        cmocka_unit_test(test_messages_come_by_themselves),
        cmocka_unit_test(test_printable),
        cmocka_unit_test(test_printable_cuts_at_characters),
        cmocka_unit_test(test_printable_random_octets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
