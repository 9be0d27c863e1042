/* What the log says of a client whose state changes. */
#include "tests/unit/cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include "milter/client_news.h"

/* The log of these tests keeps its lines. */
struct log {
    enum log_level level; /* of the last one */
    char text[1024];
};

void log_write(struct log *log, enum log_level level, const char *format, ...)
{
    size_t used = strlen(log->text);
    va_list arguments;
    va_start(arguments, format);
    used += (size_t)vsnprintf(log->text + used, sizeof(log->text) - used, format, arguments);
    va_end(arguments);
    assert_true(used + 1 < sizeof(log->text));
    strcat(log->text, "\n");
    log->level = level;
}

struct row {
    unsigned events;
    unsigned strikes;
    enum log_level level;
    const char *want;
};

static const struct row rows[] = {
    {SUPPRESSION_STRUCK, 1, LOG_LEVEL_INFO, "client 192.0.2.1: 1 strike (last verdict lost)\n"},
    {SUPPRESSION_STRUCK, 2, LOG_LEVEL_INFO, "client 192.0.2.1: 2 strikes (last verdict lost)\n"},
    {SUPPRESSION_STRUCK | SUPPRESSION_SUPPRESSED, 2, LOG_LEVEL_WARNING,
     "client 192.0.2.1: CHUNKING is not offered to it until 2026-11-23T04:15:09.000Z (last verdict "
     "lost); its next messages will come by DATA\n"},
    {SUPPRESSION_PROBATION, 0, LOG_LEVEL_INFO,
     "client 192.0.2.1: CHUNKING is offered again, on probation\n"},
    {SUPPRESSION_RELEASED, 0, LOG_LEVEL_INFO, "client 192.0.2.1: CHUNKING is offered again\n"},
    {SUPPRESSION_DATA_WORKS, 0, LOG_LEVEL_INFO, "client 192.0.2.1: its mail arrives by DATA now\n"},
    {SUPPRESSION_FORGOTTEN, 0, LOG_LEVEL_DEBUG, ""},
};

static void test_lines(void **state)
{
    char error[100];
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct log log = {.level = LOG_LEVEL_DEBUG};
        struct suppression_change change = {.events = rows[i].events};
        change.record.strikes = rows[i].strikes;
        change.record.last_verdict = VERDICT_LOST;
        change.record.until = 1795407309;
        assert_int_equal(network_parse("192.0.2.1", &change.record.client, error, sizeof(error)),
                         0);
        client_news_log(&log, &change);
        assert_string_equal(log.text, rows[i].want);
        assert_int_equal(log.level, rows[i].level);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lines)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
