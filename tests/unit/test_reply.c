/* Reply texts: taking apart, what is refused and why, filling in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "milter/reply.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TEN "0123456789"
#define A_HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

static void test_parse(void **state)
{
    static const struct {
        const char *template, *code, *status, *text;
        const char *error; /* NULL = none */
    } rows[] = {
        {"451 4.5.0 Does not add up", "451", "4.5.0", "Does not add up", NULL},
        {"552 5.3.4 x", "552", "5.3.4", "x", NULL},
        {"421   4.10.123   x", "421", "4.10.123", "x", NULL},
        {"451 Try again", "451", "", "Try again", NULL},
        {"Try again", "", "", "Try again", NULL},
        {"%d of %r, SIZE %s, %q is %v, 100%%", "", "", "%d of %r, SIZE %s, %q is %v, 100%%", NULL},
        {.template = "", .error = "has no text"},
        {.template = "451", .error = "has no text"},
        {.template = "451 4.5.0 ", .error = "has no text"},
        {.template = "250 2.0.0 Ok",
         .error = "begins with 250, but a reply code is 4yz or 5yz with y from 0 to 5"},
        {.template = "460 x",
         .error = "begins with 460, but a reply code is 4yz or 5yz with y from 0 to 5"},
        {.template = "45 x", .error = "begins with a number that is no reply code"},
        {.template = "4511 x", .error = "begins with a number that is no reply code"},
        {.template = "451-x", .error = "begins with a number that is no reply code"},
        {.template = "4.5.0 x",
         .error = "has an enhanced status code, but no reply code such as "
                  "451 before it"},
        {.template = "451 5.5.0 x",
         .error = "has the reply code 451 and the enhanced status "
                  "code 5.5.0, which are not of one class"},
        {.template = "554 4.5.0 x",
         .error = "has the reply code 554 and the enhanced status "
                  "code 4.5.0, which are not of one class"},
        {.template = "451 4.5 x",
         .error = "has a number behind the reply code that is no "
                  "enhanced status code such as 4.5.0"},
        {.template = "451 4.05.0 x",
         .error = "has a number behind the reply code that is no "
                  "enhanced status code such as 4.5.0"},
        {.template = "451 4.5.0.1 x",
         .error = "has a number behind the reply code that is no "
                  "enhanced status code such as 4.5.0"},
        {.template = "554 3 octets",
         .error = "has a number behind the reply code that is no "
                  "enhanced status code such as 5.5.0"},
        {.template = "a\r\n250 Ok", .error = "has an octet that is not printable US-ASCII"},
        {.template = "caf\xc3\xa9", .error = "has an octet that is not printable US-ASCII"},
        {.template = "\x7f", .error = "has an octet that is not printable US-ASCII"},
        {.template = "x%", .error = "has \"%\", which is none of %d, %r, %s, %q, %v and %%"},
        {.template = "%n", .error = "has \"%n\", which is none of %d, %r, %s, %q, %v and %%"},
        {.template = "%5d", .error = "has \"%5\", which is none of %d, %r, %s, %q, %v and %%"},
        {.template = "x" A_HUNDRED A_HUNDRED A_HUNDRED A_HUNDRED A_HUNDRED,
         .error = "can grow to 501 octets, but a reply line has room for 495"},
        {.template = "%q%q%q%q%q%q%q%q",
         .error = "can grow to 512 octets, but a reply line has room for 495"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct reply reply;
        char error[200] = "";
        int result = reply_parse(rows[i].template, &reply, error, sizeof(error));
        assert_string_equal(error, rows[i].error != NULL ? rows[i].error : "");
        assert_int_equal(result, rows[i].error != NULL ? -1 : 0);
        if (result != 0)
            continue;
        assert_string_equal(reply.code, rows[i].code);
        assert_string_equal(reply.status, rows[i].status);
        assert_string_equal(reply.text, rows[i].text);
    }
}

static void test_complete(void **state)
{
    static const struct {
        const char *template;
        enum verdict verdict;
        enum action action;
        const char *code, *status;
    } rows[] = {
        {"x", VERDICT_MISMATCH, ACTION_TEMPFAIL, "451", "4.5.0"},
        {"x", VERDICT_MISMATCH, ACTION_REJECT, "554", "5.5.0"},
        {"x", VERDICT_REFUSED, ACTION_REJECT, "552", "5.3.4"},
        {"x", VERDICT_REFUSED, ACTION_TEMPFAIL, "452", "4.3.4"},
        {"x", VERDICT_NOT_OFFERED, ACTION_TEMPFAIL, "421", "4.5.1"},
        {"x", VERDICT_NOT_OFFERED, ACTION_REJECT, "502", "5.5.1"},
        {"450 x", VERDICT_REFUSED, ACTION_TEMPFAIL, "450", "4.3.4"},
        {"550 5.7.1 x", VERDICT_REFUSED, ACTION_REJECT, "550", "5.7.1"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct reply reply;
        char error[200];
        assert_int_equal(reply_parse(rows[i].template, &reply, error, sizeof(error)), 0);
        reply_complete(&reply, rows[i].verdict, rows[i].action);
        assert_string_equal(reply.code, rows[i].code);
        assert_string_equal(reply.status, rows[i].status);
        assert_string_equal(reply.text, "x");
    }
}

static void test_expand(void **state)
{
    struct reply_facts facts = {2728, 2700, 3000, "4XyZ12", VERDICT_MISMATCH};
    struct reply_facts unknown = {-1, -1, -1, NULL, VERDICT_NONE};
    char text[REPLY_TEXT_SIZE];
    (void)state;
    assert_string_equal(reply_expand("%d/%r/%s/%q/%v/100%%", &facts, text),
                        "2728/2700/3000/4XyZ12/mismatch/100%");
    assert_string_equal(reply_expand("%d/%r/%s/%q/%v", &unknown, text), "?/?/?/?/none");
}

/* The longest text that is taken, with the longest facts, still fits a reply line. */
static void test_the_longest_reply_fits_a_line(void **state)
{
    static const char template[] = "%d%r%s%v%q%q%q%q%q" A_HUNDRED "01";
    char long_id[301], text[REPLY_TEXT_SIZE], error[200];
    struct reply_facts facts = {INT64_MAX, INT64_MAX, INT64_MAX, long_id, VERDICT_FAILED_ELSEWHERE};
    struct reply reply;
    (void)state;
    memset(long_id, 'Q', sizeof(long_id) - 1);
    long_id[sizeof(long_id) - 1] = '\0';
    assert_int_equal(reply_parse(template, &reply, error, sizeof(error)), 0);
    assert_int_equal(strlen(reply_expand(template, &facts, text)), 495);
    assert_int_equal(
        reply_parse("%d%r%s%v%q%q%q%q%q" A_HUNDRED "012", &reply, error, sizeof(error)), -1);
    for (int i = 0; i < VERDICT_COUNT; i++) /* no verdict is longer than reckoned with */
        assert_true(strlen(verdict_name((enum verdict)i)) <= strlen("failed_elsewhere"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_complete),
        cmocka_unit_test(test_expand),
        cmocka_unit_test(test_the_longest_reply_fits_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
