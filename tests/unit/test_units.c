/* Times and sizes: what is read, what is refused and why, and the way back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "milter/units.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct reading {
    const char *text;
    enum units_error error;
    int64_t value;
    const char *formatted; /* NULL = the same text */
};

static const struct reading times[] = {
    {"0", UNITS_OK, 0, NULL},
    {"0w", UNITS_OK, 0, "0"},
    {"1", UNITS_OK, 1, "1s"},
    {"90s", UNITS_OK, 90, NULL},
    {"60s", UNITS_OK, 60, "1m"},
    {"10m", UNITS_OK, 600, NULL},
    {"3600", UNITS_OK, 3600, "1h"},
    {"1d", UNITS_OK, 86400, NULL},
    {"30d", UNITS_OK, 2592000, NULL},
    {"90d", UNITS_OK, 7776000, NULL},
    {"7d", UNITS_OK, 604800, "1w"},
    {"2w", UNITS_OK, 1209600, NULL},
    {"0007s", UNITS_OK, 7, "7s"},
    {"9223372036854775807", UNITS_OK, INT64_MAX, "9223372036854775807s"},
    {"15250284452471w", UNITS_OK, INT64_C(15250284452471) * 604800, NULL},
    {"9223372036854775808", UNITS_OVERFLOW, 0, NULL},
    {"15250284452472w", UNITS_OVERFLOW, 0, NULL},
    {"99999999999999999999999999", UNITS_OVERFLOW, 0, NULL},
    {"", UNITS_EMPTY, 0, NULL},
    {"-1s", UNITS_NEGATIVE, 0, NULL},
    {"+1s", UNITS_MALFORMED, 0, NULL},
    {" 1s", UNITS_MALFORMED, 0, NULL},
    {"1 s", UNITS_MALFORMED, 0, NULL},
    {"s", UNITS_MALFORMED, 0, NULL},
    {"1ss", UNITS_MALFORMED, 0, NULL},
    {"1h30m", UNITS_MALFORMED, 0, NULL},
    {"1.5h", UNITS_MALFORMED, 0, NULL},
    {"1 ", UNITS_SUFFIX, 0, NULL},
    {"1y", UNITS_SUFFIX, 0, NULL},
    {"1H", UNITS_SUFFIX, 0, NULL},
    {"1M", UNITS_SUFFIX, 0, NULL},
};

static const struct reading sizes[] = {
    {"0", UNITS_OK, 0, NULL},
    {"0G", UNITS_OK, 0, "0"},
    {"1000", UNITS_OK, 1000, NULL},
    {"1024", UNITS_OK, 1024, "1K"},
    {"64K", UNITS_OK, 65536, NULL},
    {"64k", UNITS_OK, 65536, "64K"},
    {"10m", UNITS_OK, 10485760, "10M"},
    {"10240000", UNITS_OK, 10240000, "10000K"},
    {"5000000000", UNITS_OK, INT64_C(5000000000), NULL},
    {"8589934591G", UNITS_OK, INT64_C(8589934591) << 30, NULL},
    {"8589934592G", UNITS_OVERFLOW, 0, NULL},
    {"9223372036854775808", UNITS_OVERFLOW, 0, NULL},
    {"", UNITS_EMPTY, 0, NULL},
    {"-5", UNITS_NEGATIVE, 0, NULL},
    {"K", UNITS_MALFORMED, 0, NULL},
    {"1KB", UNITS_MALFORMED, 0, NULL},
    {"0x10", UNITS_MALFORMED, 0, NULL},
    {"1T", UNITS_SUFFIX, 0, NULL},
    {"1s", UNITS_SUFFIX, 0, NULL},
};

static void test_times(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(times); i++) {
        const struct reading *row = &times[i];
        char text[UNITS_TEXT_SIZE];
        int64_t got = -7;
        if (units_parse_time(row->text, &got) != row->error)
            fail_msg("time \"%s\": wrong error", row->text);
        assert_int_equal(got, row->error == UNITS_OK ? row->value : -7);
        if (row->error == UNITS_OK)
            assert_string_equal(units_format_time(got, text),
                                row->formatted != NULL ? row->formatted : row->text);
    }
}

static void test_sizes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        const struct reading *row = &sizes[i];
        char text[UNITS_TEXT_SIZE];
        uint64_t got = 7;
        if (units_parse_size(row->text, &got) != row->error)
            fail_msg("size \"%s\": wrong error", row->text);
        assert_int_equal(got, row->error == UNITS_OK ? (uint64_t)row->value : 7);
        if (row->error == UNITS_OK)
            assert_string_equal(units_format_size(got, text),
                                row->formatted != NULL ? row->formatted : row->text);
    }
}

/* Whatever the value, its text reads back as the value. */
static void test_round_trip(void **state)
{
    static const int64_t factors[] = {1, 60, 3600, 86400, 604800, 1024, 1048576, 1073741824};
    (void)state;
    srand(2728);
    for (int i = 0; i < 20000; i++) {
        char text[UNITS_TEXT_SIZE];
        int64_t value = rand() * factors[rand() % (int)COUNT(factors)], seconds;
        uint64_t octets;
        assert_int_equal(units_parse_time(units_format_time(value, text), &seconds), UNITS_OK);
        assert_int_equal(seconds, value);
        assert_int_equal(units_parse_size(units_format_size((uint64_t)value, text), &octets),
                         UNITS_OK);
        assert_int_equal(octets, value);
    }
}

static void test_complaints_name_the_suffixes(void **state)
{
    (void)state;
    assert_string_equal(units_time_complaint(UNITS_SUFFIX),
                        "has a suffix other than s, m, h, d or w");
    assert_string_equal(units_size_complaint(UNITS_SUFFIX), "has a suffix other than K, M or G");
    for (int e = UNITS_EMPTY; e <= UNITS_OVERFLOW; e++) {
        assert_true(strlen(units_time_complaint((enum units_error)e)) > 7);
        assert_true(strlen(units_size_complaint((enum units_error)e)) > 7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_complaints_name_the_suffixes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
