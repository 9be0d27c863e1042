/* Netstrings: each form whole and cut at every octet, lengths at their limits. */
#include "tests/unit/cmocka_all.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "milter/netstring.h"

struct row {
    const char *wire;
    enum netstring_result result;
    const char *payload;
};

static const struct row rows[] = {
    {"0:,", NETSTRING_COMPLETE, ""},
    {"5:hello,", NETSTRING_COMPLETE, "hello"},
    {"5:hello,9:next", NETSTRING_COMPLETE, "hello"},
    {"3:a,b,", NETSTRING_COMPLETE, "a,b"},
    {"12:ehlo 1.2.3.4,", NETSTRING_COMPLETE, "ehlo 1.2.3.4"},
    {"", NETSTRING_INCOMPLETE, NULL},
    {"5", NETSTRING_INCOMPLETE, NULL},
    {"5:", NETSTRING_INCOMPLETE, NULL},
    {"5:hello", NETSTRING_INCOMPLETE, NULL},
    {"100000", NETSTRING_INCOMPLETE, NULL},
    {"100000:", NETSTRING_INCOMPLETE, NULL},
    {"100001", NETSTRING_TOO_LONG, NULL},
    {"100001:", NETSTRING_TOO_LONG, NULL},
    {"18446744073709551621:hello,", NETSTRING_TOO_LONG, NULL},
    {"99999999999999999999999999999", NETSTRING_TOO_LONG, NULL},
    {":", NETSTRING_BAD, NULL},
    {":hello,", NETSTRING_BAD, NULL},
    {"05:hello,", NETSTRING_BAD, NULL},
    {"00:,", NETSTRING_BAD, NULL},
    {"-5:hello,", NETSTRING_BAD, NULL},
    {"+5:hello,", NETSTRING_BAD, NULL},
    {" 5:hello,", NETSTRING_BAD, NULL},
    {"5 :hello,", NETSTRING_BAD, NULL},
    {"5:hello;", NETSTRING_BAD, NULL},
    {"5:hellos,", NETSTRING_BAD, NULL},
    {"0x5:hello,", NETSTRING_BAD, NULL},
    {"GET / HTTP/1.1\r\n", NETSTRING_BAD, NULL},
    {"request=smtpd_access_policy\n", NETSTRING_BAD, NULL},
};

/* A copy without a NUL behind it, so that reading too far shows under a sanitizer. */
static enum netstring_result parse_exactly(const char *wire, size_t length, struct netstring *found,
                                           char **copy)
{
    *copy = malloc(length > 0 ? length : 1);
    assert_non_null(*copy);
    memcpy(*copy, wire, length);
    return netstring_parse(*copy, length, found);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct netstring found = {0};
        char *copy;
        enum netstring_result got =
            parse_exactly(rows[i].wire, strlen(rows[i].wire), &found, &copy);
        if (got != rows[i].result)
            fail_msg("\"%s\": got %d, want %d", rows[i].wire, got, rows[i].result);
        if (got == NETSTRING_COMPLETE) {
            assert_int_equal(found.length, strlen(rows[i].payload));
            assert_memory_equal(found.payload, rows[i].payload, found.length);
            assert_int_equal(found.payload + found.length + 1 - copy, found.used);
        }
        free(copy);
    }
}

/* A good netstring is incomplete however it is cut, never bad. */
static void test_split_at_each_octet(void **state)
{
    static const char wire[] = "23:command BDAT 2728 LAST\r,";
    (void)state;
    for (size_t length = 0; length < sizeof(wire) - 1; length++) {
        struct netstring found;
        char *copy;
        assert_int_equal(parse_exactly(wire, length, &found, &copy), NETSTRING_INCOMPLETE);
        free(copy);
    }
}

/* A bad one is found out at an octet and stays bad with all that follows. */
static void test_bad_stays_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (rows[i].result != NETSTRING_BAD && rows[i].result != NETSTRING_TOO_LONG)
            continue;
        bool bad = false;
        for (size_t length = 0; length <= strlen(rows[i].wire); length++) {
            struct netstring found;
            char *copy;
            enum netstring_result got = parse_exactly(rows[i].wire, length, &found, &copy);
            free(copy);
            if (bad && got == NETSTRING_INCOMPLETE)
                fail_msg("\"%s\": incomplete again at %zu", rows[i].wire, length);
            bad = got != NETSTRING_INCOMPLETE;
        }
        assert_true(bad);
    }
}

static void test_longest(void **state)
{
    size_t size = NETSTRING_SIZE(NETSTRING_MAX);
    char *payload = malloc(NETSTRING_MAX), *wire = malloc(size);
    struct netstring found;
    (void)state;
    assert_non_null(payload);
    assert_non_null(wire);
    memset(payload, ',', NETSTRING_MAX);
    size_t length = netstring_write(wire, payload, NETSTRING_MAX);
    assert_true(length <= size);
    assert_int_equal(netstring_parse(wire, length, &found), NETSTRING_COMPLETE);
    assert_int_equal(found.length, NETSTRING_MAX);
    assert_int_equal(found.used, length);
    assert_int_equal(netstring_parse(wire, length - 1, &found), NETSTRING_INCOMPLETE);
    free(payload);
    free(wire);
}

static void test_write_is_read(void **state)
{
    (void)state;
    for (size_t length = 0; length < 300; length++) {
        char payload[300], wire[NETSTRING_SIZE(300)];
        struct netstring found;
        memset(payload, (int)length, length);
        size_t written = netstring_write(wire, payload, length);
        assert_true(written <= NETSTRING_SIZE(length));
        assert_int_equal(netstring_parse(wire, written, &found), NETSTRING_COMPLETE);
        assert_int_equal(found.used, written);
        assert_int_equal(found.length, length);
        assert_memory_equal(found.payload, payload, length);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),          cmocka_unit_test(test_split_at_each_octet),
        cmocka_unit_test(test_bad_stays_bad), cmocka_unit_test(test_longest),
        cmocka_unit_test(test_write_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
