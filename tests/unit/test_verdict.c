/* The words: every verdict, action and evidence has one name and finds its way back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "milter/verdict.h"

static void test_names_are_unique_and_found(void **state)
{
    (void)state;
    for (int i = 0; i < VERDICT_COUNT; i++) {
        assert_int_equal(verdict_from_name(verdict_name((enum verdict)i)), i);
        assert_true(strlen(verdict_meaning((enum verdict)i)) > 10);
    }
    assert_int_equal(verdict_from_name("no such verdict"), VERDICT_NONE);
    assert_string_equal(verdict_name(VERDICT_NONE), "none");
    for (int i = 0; i < ACTION_COUNT; i++) {
        enum action action = ACTION_COUNT;
        assert_true(action_from_name(action_name((enum action)i), &action));
        assert_int_equal(action, i);
    }
    enum action untouched = ACTION_HOLD;
    assert_false(action_from_name("discard", &untouched));
    assert_int_equal(untouched, ACTION_HOLD);
    for (unsigned a = 0; a < EVIDENCE_BITS; a++)
        for (unsigned b = 0; b < a; b++)
            assert_string_not_equal(evidence_name(a), evidence_name(b));
}

static void test_strikes_follow_the_design(void **state)
{
    (void)state;
    static const struct {
        enum verdict verdict;
        unsigned strikes;
    } rows[] = {
        {VERDICT_MATCH, 0},       {VERDICT_NORMALIZED, 0},       {VERDICT_MISMATCH, 2},
        {VERDICT_TRUNCATED, 2},   {VERDICT_SWALLOWED, 2},        {VERDICT_DOT_STUFFED, 1},
        {VERDICT_SIZE_EXCEEDED, 0}, {VERDICT_REFUSED, 1},        {VERDICT_STALLED, 2},
        {VERDICT_LOST, 1},        {VERDICT_DESYNCHRONIZED, 2},   {VERDICT_ABANDONED, 0},
        {VERDICT_OVERRUN, 2},     {VERDICT_NOT_OFFERED, 0},      {VERDICT_FAILED_ELSEWHERE, 0},
        {VERDICT_UNVERIFIED, 0},
    };
    assert_int_equal(sizeof(rows) / sizeof(rows[0]), VERDICT_COUNT);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(verdict_strikes(rows[i].verdict), rows[i].strikes);
}

static void test_only_faults_are_answered_by_default(void **state)
{
    (void)state;
    assert_int_equal(verdict_default_action(VERDICT_MATCH), ACTION_ACCEPT);
    assert_int_equal(verdict_default_action(VERDICT_NORMALIZED), ACTION_ACCEPT);
    assert_int_equal(verdict_default_action(VERDICT_UNVERIFIED), ACTION_ACCEPT);
    assert_int_equal(verdict_default_action(VERDICT_SIZE_EXCEEDED), ACTION_ACCEPT);
    assert_int_equal(verdict_default_action(VERDICT_DOT_STUFFED), ACTION_ACCEPT);
    assert_int_equal(verdict_default_action(VERDICT_MISMATCH), ACTION_TEMPFAIL);
    assert_int_equal(verdict_default_action(VERDICT_REFUSED), ACTION_REJECT);
    assert_false(verdict_is_answerable(VERDICT_MATCH));
    assert_false(verdict_is_answerable(VERDICT_STALLED));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_unique_and_found),
        cmocka_unit_test(test_strikes_follow_the_design),
        cmocka_unit_test(test_only_faults_are_answered_by_default),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
