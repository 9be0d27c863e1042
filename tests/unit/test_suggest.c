/* "Did you mean …": distances, and when a word is near enough to be meant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "milter/suggest.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_distances(void **state)
{
    static const struct {
        const char *a, *b;
        unsigned distance;
    } rows[] = {
        {"", "", 0},
        {"", "abc", 3},
        {"mode", "mode", 0},
        {"MODE", "mode", 0},
        {"max-chunk", "max_chunk", 0},
        {"mdoe", "mode", 1},
        {"mod", "mode", 1},
        {"modes", "mode", 1},
        {"node", "mode", 1},
        {"ca", "abc", 3},
        {"kitten", "sitting", 3},
        {"limits.max_chunck", "limits.max_chunk", 1},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(suggest_distance(rows[i].a, rows[i].b), rows[i].distance);
        assert_int_equal(suggest_distance(rows[i].b, rows[i].a), rows[i].distance);
    }
}

static const char *nearest(const char *wanted)
{
    static const char *const known[] = {"enforce", "observe", "log", "limits"};
    struct suggestion suggestion = {.wanted = wanted};

    for (size_t i = 0; i < COUNT(known); i++)
        suggestion_consider(&suggestion, known[i]);
    return suggestion_nearest(&suggestion);
}

static void test_only_near_words_are_meant(void **state)
{
    (void)state;
    assert_string_equal(nearest("enforse"), "enforce");
    assert_string_equal(nearest("Observer"), "observe");
    assert_string_equal(nearest("limit"), "limits");
    assert_string_equal(nearest("lo"), "log");
    assert_string_equal(nearest("observed"), "observe");
    assert_string_equal(nearest("lmits"), "limits");
    assert_string_equal(nearest("lemit"), "limits");
    assert_null(nearest("limbo"));
    assert_null(nearest("reject"));
    assert_null(nearest("xy"));
    assert_null(suggestion_nearest(&(struct suggestion){.wanted = "mode"}));
}

static void test_long_words_are_compared_by_their_beginning(void **state)
{
    char a[200], b[200];
    (void)state;
    memset(a, 'a', sizeof(a));
    memset(b, 'a', sizeof(b));
    a[199] = b[199] = '\0';
    b[150] = 'x';
    assert_int_equal(suggest_distance(a, b), 0);
    b[0] = 'x';
    assert_int_equal(suggest_distance(a, b), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distances),
        cmocka_unit_test(test_only_near_words_are_meant),
        cmocka_unit_test(test_long_words_are_compared_by_their_beginning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
