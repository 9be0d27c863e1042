/* Targets of the command line and answers of name servers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "probe/options.h"
#include "probe/target.h"

static void test_targets(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host, *port;
        int literal; /* -1: it is wrong */
    } rows[] = {
        {"example.org", "example.org", "", 0},
        {"example.org:587", "example.org", "587", 0},
        {"192.0.2.1", "192.0.2.1", "", 1},
        {"192.0.2.1:25", "192.0.2.1", "25", 1},
        {"::1", "::1", "", 1},
        {"[::1]", "::1", "", 1},
        {"[::1]:2525", "::1", "2525", 1},
        {"[IPv6:2001:db8::1]:25", "2001:db8::1", "25", 1},
        {"[192.0.2.1]:025", "192.0.2.1", "25", 1},
        {"", NULL, NULL, -1},
        {":25", NULL, NULL, -1},
        {"host:", NULL, NULL, -1},
        {"host:0", NULL, NULL, -1},
        {"host:65536", NULL, NULL, -1},
        {"host:+25", NULL, NULL, -1},
        {"host:99999999999999999999", NULL, NULL, -1},
        {"a:b:c", NULL, NULL, -1},
        {"[::1", NULL, NULL, -1},
        {"[::1]25", NULL, NULL, -1},
        {"[name]:25", NULL, NULL, -1},
        {"user@host", NULL, NULL, -1},
        {"ho st", NULL, NULL, -1},
        {"host\r\n", NULL, NULL, -1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct target target;
        const char *wrong = target_parse(&target, rows[i].text);
        if (rows[i].literal < 0) {
            assert_non_null(wrong);
            continue;
        }
        assert_null(wrong);
        assert_string_equal(target.host, rows[i].host);
        assert_string_equal(target.port, rows[i].port);
        assert_int_equal(target.literal, rows[i].literal);
    }
    char name[TARGET_MAX_HOST + 1];
    struct target target;
    memset(name, 'a', sizeof(name));
    name[TARGET_MAX_HOST] = '\0';
    assert_non_null(target_parse(&target, name));
    name[TARGET_MAX_HOST - 1] = '\0';
    assert_null(target_parse(&target, name));
}

/* Two MX records for example.org, 20 b.example.org and 10 a.example.org, and a CNAME that is
 * passed over. */
static const unsigned char two_exchangers[] = "\x12\x34\x81\x80\0\1\0\3\0\0\0\0"
                                              "\7example\3org\0\0\x0f\0\1"
                                              "\xc0\x0c\0\x0f\0\1\0\0\0\x3c\0\6\0\x14\1b\xc0\x0c"
                                              "\xc0\x0c\0\5\0\1\0\0\0\x3c\0\4\1c\xc0\x0c"
                                              "\xc0\x0c\0\x0f\0\1\0\0\0\x3c\0\6\0\x0a\1a\xc0\x0c";
static const unsigned char null_exchanger[] = "\x12\x34\x81\x80\0\1\0\1\0\0\0\0"
                                              "\7example\3org\0\0\x0f\0\1"
                                              "\xc0\x0c\0\x0f\0\1\0\0\0\x3c\0\3\0\0\0";

static void test_exchangers(void **state)
{
    (void)state;
    struct exchanger exchangers[TARGET_MAX_EXCHANGERS];
    size_t length = sizeof(two_exchangers) - 1;
    assert_int_equal(mx_parse_answer(two_exchangers, length, exchangers, TARGET_MAX_EXCHANGERS), 2);
    assert_string_equal(exchangers[0].host, "a.example.org");
    assert_int_equal(exchangers[0].preference, 10);
    assert_string_equal(exchangers[1].host, "b.example.org");
    assert_int_equal(exchangers[1].preference, 20);
    assert_int_equal(mx_parse_answer(two_exchangers, length, exchangers, 1), 1);
    assert_int_equal(mx_parse_answer(null_exchanger, sizeof(null_exchanger) - 1, exchangers,
                                     TARGET_MAX_EXCHANGERS),
                     1);
    assert_string_equal(exchangers[0].host, ".");
}

/* An answer cut anywhere, or with any octet changed, is refused or read, never more. */
static void test_broken_answers(void **state)
{
    (void)state;
    struct exchanger exchangers[TARGET_MAX_EXCHANGERS];
    size_t length = sizeof(two_exchangers) - 1;
    for (size_t cut = 0; cut < length; cut++) {
        unsigned char *copy = malloc(cut ? cut : 1);
        assert_non_null(copy);
        memcpy(copy, two_exchangers, cut);
        assert_int_equal(mx_parse_answer(copy, cut, exchangers, TARGET_MAX_EXCHANGERS), -1);
        free(copy);
    }
    for (size_t at = 0; at < length; at++)
        for (unsigned value = 0; value < 256; value += 5) {
            unsigned char *copy = malloc(length);
            assert_non_null(copy);
            memcpy(copy, two_exchangers, length);
            copy[at] = (unsigned char)value;
            int count = mx_parse_answer(copy, length, exchangers, TARGET_MAX_EXCHANGERS);
            assert_in_range(count + 1, 0, 4);
            free(copy);
        }
}

static void test_times_and_addresses(void **state)
{
    (void)state;
    int ms = 0;
    assert_true(options_parse_time("30", 100, &ms));
    assert_int_equal(ms, 30000);
    assert_true(options_parse_time("1.5s", 100, &ms));
    assert_int_equal(ms, 1500);
    assert_true(options_parse_time("250ms", 100, &ms));
    assert_int_equal(ms, 250);
    assert_true(options_parse_time("60m", 100, &ms));
    assert_int_equal(ms, 3600000);
    static const char *const bad[] = {"",    "s",   "61m",   "99ms", "-1",
                                      "nan", "inf", "1e300", "1h",   "1 s"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(options_parse_time(bad[i], 100, &ms));
    assert_int_equal(ms, 3600000);
    assert_true(options_is_address("user@example.org"));
    assert_false(options_is_address(""));
    assert_false(options_is_address("a b"));
    assert_false(options_is_address("a>b"));
    assert_false(options_is_address("a\r\nQUIT"));
    assert_false(options_is_address("gr\xc3\xbc\xc3\x9f@example.org"));
}

static void test_credentials(void **state)
{
    (void)state;
    char *user = NULL, *password = NULL;
    assert_true(options_parse_credentials("me:a:b\r\n", &user, &password));
    assert_string_equal(user, "me");
    assert_string_equal(password, "a:b");
    free(user);
    free(password);
    user = password = NULL;
    assert_false(options_parse_credentials("me", &user, &password));
    assert_false(options_parse_credentials(":secret", &user, &password));
    assert_false(options_parse_credentials("me:\n", &user, &password));
    assert_null(user);
    assert_null(password);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_targets),        cmocka_unit_test(test_exchangers),
        cmocka_unit_test(test_broken_answers), cmocka_unit_test(test_times_and_addresses),
        cmocka_unit_test(test_credentials),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
