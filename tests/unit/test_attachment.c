/* How well the daemon is attached: each reason with the message it is about, a warning once an
 * hour, and a hint that fades when newer sessions show that all is well. */
#include "tests/unit/cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include "milter/attachment.h"

#define HOUR_MS (3600 * 1000)

/* The log of these tests keeps the last line. */
struct log {
    unsigned lines;
    char last[1024];
};

void log_write(struct log *log, enum log_level level, const char *format, ...)
{
    va_list arguments;
    assert_int_equal(level, LOG_LEVEL_WARNING);
    va_start(arguments, format);
    vsnprintf(log->last, sizeof(log->last), format, arguments);
    va_end(arguments);
    log->lines++;
}

static void hint_is(const struct attachment *attachment, int64_t now_ms, const char *begin,
                    const char *part)
{
    const char *hint = attachment_hint(attachment, now_ms);
    assert_non_null(hint);
    if (strncmp(hint, begin, strlen(begin)) != 0 || strstr(hint, part) == NULL)
        fail_msg("\"%s\" lacks \"%s\" or \"%s\"", hint, begin, part);
}

static void test_reasons(void **state)
{
    static const struct {
        struct attachment before;
        const char *part;
    } rows[] = {
        {{.commands = 0}, "set smtpd_command_filter"},
        {{.commands = 1}, "put check_policy_service"},
        {{.commands = 1, .policy_requests = 1, .strangers = 1}, "PID namespace"},
        {{.commands = 1, .policy_requests = 1}, "began before this daemon did"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct attachment attachment = rows[i].before;
        struct log log = {0};
        assert_null(attachment_hint(&attachment, 0));
        attachment_take_unjoined(&attachment, "4Q1", 1000, &log);
        hint_is(&attachment, 1000, "message 4Q1 was accepted unverified: ", rows[i].part);
        assert_non_null(strstr(log.last, "4Q1: verdict=unverified, accepted: "));
        assert_non_null(strstr(log.last, rows[i].part));
    }
}

static void test_once_an_hour(void **state)
{
    struct attachment attachment = {.commands = 1, .policy_requests = 1};
    struct log log = {0};
    (void)state;
    attachment_take_unjoined(&attachment, "", 0, &log);
    hint_is(&attachment, 0, "message NOQUEUE was", "check");
    attachment_take_unjoined(&attachment, "4Q2", HOUR_MS - 1, &log);
    assert_int_equal(log.lines, 1);
    hint_is(&attachment, HOUR_MS - 1,
            "2 messages were accepted unverified, the last of them 4Q2: ", "check");
    /* An hour after the last of them nobody speaks of it any more. */
    hint_is(&attachment, 2 * HOUR_MS - 2, "2 messages", "check");
    assert_null(attachment_hint(&attachment, 2 * HOUR_MS - 1));
    attachment_take_unjoined(&attachment, "4Q3", 2 * HOUR_MS, &log);
    assert_int_equal(log.lines, 2);
    hint_is(&attachment, 2 * HOUR_MS, "message 4Q3 was", "check");
}

/* What shows that it is mended is what was missing. */
static void test_fades(void **state)
{
    struct attachment attachment = {.commands = 1, .policy_requests = 1};
    struct transfer transfer = {.queue_id = "4Q2"};
    struct log log = {0};
    (void)state;
    attachment_take_unjoined(&attachment, "4Q1", 0, &log);
    attachment_take_joined(&attachment);
    assert_int_equal(attachment.policy_joined, 1);
    assert_null(attachment_hint(&attachment, 1));

    /* The first request of a message is no proof where its end was never told. */
    attachment_take_unverified(&attachment, &transfer, 2, &log);
    hint_is(&attachment, 2, "message 4Q2 was", "");
    attachment_take_joined(&attachment);
    hint_is(&attachment, 3, "message 4Q2 was", "");
    attachment_take_unjoined(&attachment, "4Q3", 4, &log);
    attachment_take_joined(&attachment);
    hint_is(&attachment, 4, "2 messages", "4Q3");
    attachment_take_verified(&attachment);
    assert_null(attachment_hint(&attachment, 5));

    transfer.has_received = true;
    attachment_take_unverified(&attachment, &transfer, 6, &log);
    hint_is(&attachment, 6, "message 4Q2 was", "the milter did not see it");
    attachment_take_verified(&attachment);
    attachment_take_unjoined(&attachment, "4Q4", 7, &log);
    hint_is(&attachment, 7, "message 4Q4 was", "");
    attachment_take_joined(&attachment);
    assert_null(attachment_hint(&attachment, 8));
    assert_int_equal(log.lines, 1);
}

static void test_unjoined_are_known(void **state)
{
    struct attachment attachment = {0};
    struct log log = {0};
    char id[TRANSFER_QUEUE_ID_SIZE];
    (void)state;
    for (unsigned i = 0; i <= ATTACHMENT_UNJOINED_KEPT; i++) {
        snprintf(id, sizeof(id), "Q%u", i);
        attachment_take_unjoined(&attachment, id, 0, &log);
        assert_true(attachment_knows_unjoined(&attachment, id));
    }
    assert_false(attachment_knows_unjoined(&attachment, "Q0"));
    assert_true(attachment_knows_unjoined(&attachment, "Q1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_once_an_hour),
        cmocka_unit_test(test_fades),
        cmocka_unit_test(test_unjoined_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
