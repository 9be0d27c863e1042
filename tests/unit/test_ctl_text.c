/* Text for a terminal: harmless, measured, wrapped, in columns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ctl/table.h"
#include "ctl/text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int begin(void **state)
{
    (void)state;
    text_init();
    return 0;
}

static void test_safe(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
        bool newlines;
    } rows[] = {
        {"plain", "plain", false},
        {"", "", false},
        {"b\xc3\xbc"
         "cher \xe4\xb8\xad",
         "b\xc3\xbc"
         "cher \xe4\xb8\xad",
         false},
        {"a\nb\tc", "a?b?c", false},
        {"a\nb\tc\r", "a\nb\tc?", true},
        {"\x1b[31mred\x1b]0;t\a", "?[31mred?]0;t?", true},
        {"\x7f\x01", "??", false},
        {"\xc2\x9b"
         "31m",
         "?31m", false},                 /* CSI as one C1 character */
        {"cut \xc3", "cut ?", false},    /* UTF-8 that ends too soon */
        {"\xff\xfe ok", "?? ok", false}, /* no UTF-8 at all */
        {"\xc0\xaf", "??", false},       /* overlong */
        {"\xed\xa0\x80", "???", false},  /* a surrogate */
        {"x\xe2\x80\xae"
         "gpj",
         "x?gpj", false},                 /* right-to-left override */
        {"x\xe2\x81\xa6y", "x?y", false}, /* isolate */
        {"x\xe2\x80\x8fy", "x?y", false}, /* mark */
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *safe = text_safe(rows[i].text, rows[i].newlines);
        assert_string_equal(safe, rows[i].want);
        free(safe);
    }
}

/* Whatever octets come in, no control character comes out. */
static void test_safe_for_any_octets(void **state)
{
    (void)state;
    uint32_t random = 1;
    for (int round = 0; round < 20000; round++) {
        char text[33];
        size_t length = round % 32;
        for (size_t i = 0; i < length; i++) {
            random = random * 1664525 + 1013904223;
            text[i] = (char)(random >> 24 ? random >> 24 : 1);
        }
        text[length] = '\0';
        char *safe = text_safe(text, false), *twice = text_safe(safe, false);
        for (const char *c = safe; *c != '\0'; c++)
            assert_true((unsigned char)*c >= 0x20 && *c != 0x7f);
        assert_string_equal(safe, twice);
        assert_true(text_width(safe) <= length * 2);
        free(twice);
        free(safe);
    }
}

static void test_width_and_fit(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t width, columns, fit;
    } rows[] = {
        {"", 0, 5, 0},
        {"abc", 3, 2, 2},
        {"b\xc3\xbc", 2, 2, 3},
        {"\xe4\xb8\xad\xe6\x96\x87", 4, 3, 3}, /* two wide characters; the second does not fit */
        {"e\xcc\x81x", 2, 1, 3},               /* a combining accent takes no column */
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(text_width(rows[i].text), rows[i].width);
        assert_int_equal(text_fit(rows[i].text, rows[i].columns), rows[i].fit);
    }
}

static char *wrapped(const char *text, const char *indent, size_t columns)
{
    char *out = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&out, &size);
    text_wrap(memory, text, indent, columns);
    fclose(memory);
    return out;
}

static void test_wrap(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"", ""},
        {"one two three four five six", "  one two three four five\n  six\n"},
        {"averyveryverylongwordthatdoesnotfit at all",
         "  averyveryverylongwordthatdoesnotfit\n  at all\n"},
        {"one  two", "  one  two\n"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *out = wrapped(rows[i].text, "  ", 26);
        assert_string_equal(out, rows[i].want);
        free(out);
    }
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        int64_t number;
        const char *want;
    } numbers[] = {{0, "0"},        {999, "999"},
                   {1000, "1,000"}, {-1234567, "-1,234,567"},
                   {-100, "-100"},  {12345678, "12,345,678"}};
    for (size_t i = 0; i < COUNT(numbers); i++) {
        char *text = text_number(numbers[i].number);
        assert_string_equal(text, numbers[i].want);
        free(text);
    }
    static const struct {
        double seconds;
        const char *want;
    } durations[] = {{0.012, "12 ms"}, {1, "1 s"},    {1.5, "1.5 s"},  {90, "90 s"},
                     {300, "5 min"},   {7200, "2 h"}, {172800, "2 d"}, {2592000, "30 d"}};
    for (size_t i = 0; i < COUNT(durations); i++) {
        char *text = text_duration(durations[i].seconds);
        assert_string_equal(text, durations[i].want);
        free(text);
    }
    char *one = text_count(1, "octet"), *many = text_count(2728, "octet");
    assert_string_equal(one, "1 octet");
    assert_string_equal(many, "2,728 octets");
    free(one);
    free(many);
}

static void test_distance(void **state)
{
    (void)state;
    assert_int_equal(text_distance("status", "status"), 0);
    assert_int_equal(text_distance("statsu", "status"), 2);
    assert_int_equal(text_distance("", "top"), 3);
    assert_int_equal(text_distance("kitten", "sitting"), 3);
}

static void test_table(void **state)
{
    (void)state;
    static const struct column columns[] = {{"NAME", false}, {"N", true}, {"REST", false}};
    struct table *table = table_new(columns, COUNT(columns));
    table_add(table, TONE_PLAIN, "\xe4\xb8\xad\xe6\x96\x87\xe4\xb8\xad");
    table_addf(table, TONE_GOOD, "%d", 7);
    table_add(table, TONE_PLAIN, "a\x1b[2J");
    table_add(table, TONE_PLAIN, "x");
    table_add(table, TONE_PLAIN, "1234");
    table_add(table, TONE_PLAIN, NULL);
    assert_int_equal(table_rows(table), 2);
    char *out = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&out, &size);
    table_print(table, memory, false);
    fclose(memory);
    assert_string_equal(out, "NAME       N  REST\n"
                             "\xe4\xb8\xad\xe6\x96\x87\xe4\xb8\xad     7  a?[2J\n"
                             "x       1234  -\n");
    free(out);
    memory = open_memstream(&out, &size);
    table_print(table, memory, true);
    fclose(memory);
    assert_non_null(strstr(out, "\033[32m   7\033[0m"));
    free(out);
    table_free(&table);
    assert_null(table);
    table_free(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_safe),          cmocka_unit_test(test_safe_for_any_octets),
        cmocka_unit_test(test_width_and_fit), cmocka_unit_test(test_wrap),
        cmocka_unit_test(test_numbers),       cmocka_unit_test(test_distance),
        cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, begin, NULL);
}
