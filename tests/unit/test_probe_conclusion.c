/* From results to a conclusion: one row per rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "probe/conclusion.h"

/* One result that is not PASS; all other cases pass. */
struct outcome {
    const char *name;
    enum status status;
    enum finding finding;
};

struct row {
    const char *what;
    bool no_session, no_chunking, no_recipient, only_named, delivered;
    bool sender_refused;
    int refusal;
    struct outcome outcomes[6];
    enum conclusion_kind kind;
    int exit_status;
    const char *says;    /* stands in the explanation */
    const char *never;   /* does not stand there */
    const char *advises; /* stands in the first paragraph of advice */
};

static const struct row rows[] = {
    {"sound", .kind = CONCLUSION_WORKS, .exit_status = 0, .says = "none failed"},
    {"sound with a warning", .outcomes = {{"malformed-last", STATUS_WARN, FINDING_ACCEPTED}},
     .kind = CONCLUSION_WORKS, .says = "1 has a warning"},
    {"slow", .outcomes = {{"one-chunk", STATUS_WARN, FINDING_SLOW}},
     .kind = CONCLUSION_WORKS_SLOWLY},
    {"slow by DATA only", .outcomes = {{"data", STATUS_WARN, FINDING_SLOW}},
     .kind = CONCLUSION_WORKS},
    {"dropped", .only_named = true,
     .outcomes = {{"data", STATUS_PASS, FINDING_NONE}, {"one-chunk", STATUS_FAIL, FINDING_DROPPED}},
     .kind = CONCLUSION_BDAT_DROPPED, .exit_status = 1,
     .says = "works by DATA and breaks off by BDAT (as far as can be seen"},
    {"dropped when delivered", .only_named = true, .delivered = true,
     .outcomes = {{"data", STATUS_PASS, FINDING_NONE}, {"one-chunk", STATUS_FAIL, FINDING_DROPPED}},
     .kind = CONCLUSION_BDAT_DROPPED, .exit_status = 1,
     .says = "works by DATA and breaks off by BDAT."},
    {"stalls", .only_named = true,
     .outcomes = {{"data", STATUS_WARN, FINDING_SLOW}, {"one-chunk", STATUS_FAIL, FINDING_STALLED}},
     .kind = CONCLUSION_BDAT_STALLS, .exit_status = 1, .says = "works by DATA and stalls by BDAT"},
    {"stalls, DATA unknown", .only_named = true, .no_recipient = true,
     .outcomes = {{"refused", STATUS_FAIL, FINDING_STALLED}}, .kind = CONCLUSION_BDAT_STALLS,
     .exit_status = 1, .says = "DATA could not be tried"},
    {"refused", .only_named = true,
     .outcomes = {{"data", STATUS_PASS, FINDING_NONE}, {"one-chunk", STATUS_FAIL, FINDING_REFUSED}},
     .kind = CONCLUSION_BDAT_REFUSED, .exit_status = 1},
    {"garbage", .only_named = true,
     .outcomes = {{"data", STATUS_PASS, FINDING_NONE}, {"one-chunk", STATUS_FAIL, FINDING_GARBAGE}},
     .kind = CONCLUSION_NOT_SMTP, .exit_status = 1},
    {"DATA fails, too", .only_named = true,
     .outcomes = {{"data", STATUS_FAIL, FINDING_STALLED},
                  {"one-chunk", STATUS_FAIL, FINDING_STALLED}},
     .kind = CONCLUSION_SERVER, .exit_status = 1, .says = "By DATA it fails as well"},
    {"only DATA fails",
     .outcomes = {{"data", STATUS_FAIL, FINDING_REFUSED},
                  {"data-large", STATUS_FAIL, FINDING_REFUSED}},
     .kind = CONCLUSION_DATA, .exit_status = 1, .says = "The same message works by BDAT",
     .advises = "not a trouble of CHUNKING"},
    {"only DATA was run, and fails", .only_named = true,
     .outcomes = {{"data", STATUS_FAIL, FINDING_REFUSED}}, .kind = CONCLUSION_DATA,
     .exit_status = 1, .says = "BDAT was not tried with the same message"},
    {"DATA fails, and so does one case of BDAT",
     .outcomes = {{"data", STATUS_FAIL, FINDING_REFUSED},
                  {"cut-in-crlf", STATUS_FAIL, FINDING_STALLED}},
     .kind = CONCLUSION_PARTLY, .exit_status = 1, .says = "A short message by DATA fails as well"},
    {"large chunks", .outcomes = {{"large", STATUS_FAIL, FINDING_STALLED}},
     .kind = CONCLUSION_LARGE_CHUNKS, .exit_status = 1, .says = "works by DATA and stalls by BDAT"},
    {"large messages of both kinds",
     .outcomes = {{"large", STATUS_FAIL, FINDING_STALLED},
                  {"data-large", STATUS_FAIL, FINDING_STALLED}},
     .kind = CONCLUSION_PATH, .exit_status = 1},
    {"large messages by DATA only", .outcomes = {{"data-large", STATUS_FAIL, FINDING_STALLED}},
     .kind = CONCLUSION_DATA_LARGE, .exit_status = 1, .says = "The same message works by BDAT"},
    {"large chunks, and a long line in one",
     .outcomes = {{"long-lines", STATUS_FAIL, FINDING_STALLED},
                  {"large", STATUS_FAIL, FINDING_STALLED}},
     .kind = CONCLUSION_LARGE_CHUNKS, .exit_status = 1, .says = "Case large"},
    {"large messages of both kinds, and a long line",
     .outcomes = {{"long-lines", STATUS_FAIL, FINDING_DROPPED},
                  {"data-large", STATUS_FAIL, FINDING_STALLED},
                  {"large", STATUS_FAIL, FINDING_STALLED}},
     .kind = CONCLUSION_PATH, .exit_status = 1, .says = "Case large"},
    {"a long line only", .outcomes = {{"long-lines", STATUS_FAIL, FINDING_DROPPED}},
     .kind = CONCLUSION_PARTLY, .exit_status = 1},
    {"large chunks, and what has nothing to do with size",
     .outcomes = {{"cut-in-crlf", STATUS_FAIL, FINDING_STALLED},
                  {"large", STATUS_FAIL, FINDING_STALLED}},
     .kind = CONCLUSION_PARTLY, .exit_status = 1},
    {"binary messages only", .outcomes = {{"binary", STATUS_FAIL, FINDING_REFUSED}},
     .kind = CONCLUSION_BINARY, .exit_status = 1, .never = "The same message",
     .advises = "stop offering BINARYMIME"},
    {"binary messages are miscounted", .outcomes = {{"binary", STATUS_FAIL, FINDING_MISCOUNTED}},
     .kind = CONCLUSION_BINARY, .exit_status = 1},
    {"more than binary messages",
     .outcomes = {{"binary", STATUS_FAIL, FINDING_REFUSED},
                  {"8-bit", STATUS_FAIL, FINDING_REFUSED}},
     .kind = CONCLUSION_PARTLY, .exit_status = 1},
    {"refusals pass where no chunk is ever taken", .only_named = true,
     .outcomes = {{"one-chunk", STATUS_FAIL, FINDING_REFUSED},
                  {"malformed-empty", STATUS_PASS, FINDING_NONE}},
     .kind = CONCLUSION_BDAT_REFUSED, .exit_status = 1},
    {"the gravest finding wins",
     .outcomes = {{"one-chunk", STATUS_FAIL, FINDING_DROPPED},
                  {"several-chunks", STATUS_FAIL, FINDING_TWICE},
                  {"8-bit", STATUS_FAIL, FINDING_MISCOUNTED},
                  {"refused", STATUS_FAIL, FINDING_RAN_PAYLOAD}},
     .kind = CONCLUSION_RUNS_PAYLOAD, .exit_status = 1, .says = "Case refused"},
    {"then miscounting",
     .outcomes = {{"several-chunks", STATUS_FAIL, FINDING_TWICE},
                  {"8-bit", STATUS_FAIL, FINDING_MISCOUNTED}},
     .kind = CONCLUSION_MISCOUNTS, .exit_status = 1, .says = "Case 8-bit"},
    {"then double replies", .outcomes = {{"one-chunk", STATUS_FAIL, FINDING_TWICE}},
     .kind = CONCLUSION_ANSWERS_TWICE, .exit_status = 1},
    {"one case of many", .outcomes = {{"cut-in-crlf", STATUS_FAIL, FINDING_STALLED}},
     .kind = CONCLUSION_PARTLY, .exit_status = 1, .says = "A short message works by DATA",
     .never = "The same message"},
    {"RSET is not answered well", .outcomes = {{"one-chunk", STATUS_WARN, FINDING_UNTIDY}},
     .kind = CONCLUSION_WORKS},
    {"one session was turned away", .outcomes = {{"large", STATUS_SKIP, FINDING_UNREACHABLE}},
     .kind = CONCLUSION_INCOMPLETE, .exit_status = 1,
     .says = "1 case was not run, or not to the end: large. It began with large: It was so.",
     .advises = "Have this machine exempted"},
    {"sessions were turned away",
     .outcomes = {{"rset-between", STATUS_SKIP, FINDING_UNREACHABLE},
                  {"large", STATUS_SKIP, FINDING_UNREACHABLE}},
     .kind = CONCLUSION_INCOMPLETE, .exit_status = 1, .says = "2 cases were not run"},
    {"sessions by DATA were turned away",
     .outcomes = {{"data-large", STATUS_SKIP, FINDING_UNREACHABLE}}, .kind = CONCLUSION_INCOMPLETE,
     .exit_status = 1},
    {"a session took too long", .outcomes = {{"tiny-chunks", STATUS_SKIP, FINDING_UNFINISHED}},
     .kind = CONCLUSION_INCOMPLETE, .exit_status = 1, .says = "tiny-chunks",
     .advises = "a longer --timeout"},
    {"a failure, and sessions turned away",
     .outcomes = {{"one-chunk", STATUS_FAIL, FINDING_TWICE},
                  {"large", STATUS_SKIP, FINDING_UNREACHABLE}},
     .kind = CONCLUSION_ANSWERS_TWICE, .exit_status = 1, .says = "1 case was not run"},
    {"what the server does not offer is not missed",
     .outcomes = {{"binary", STATUS_SKIP, FINDING_NONE}, {"pipelined", STATUS_SKIP, FINDING_NONE}},
     .kind = CONCLUSION_WORKS},
    {"not offered, and sessions turned away", .no_chunking = true, .only_named = true,
     .outcomes = {{"data", STATUS_SKIP, FINDING_UNREACHABLE}}, .kind = CONCLUSION_NOT_OFFERED},
    {"not offered", .no_chunking = true, .only_named = true, .kind = CONCLUSION_NOT_OFFERED},
    {"not offered, and DATA fails", .no_chunking = true, .only_named = true,
     .outcomes = {{"data", STATUS_FAIL, FINDING_DROPPED}}, .kind = CONCLUSION_DATA,
     .exit_status = 1, .says = "CHUNKING is not offered"},
    {"no recipient", .no_recipient = true, .refusal = 550, .only_named = true,
     .outcomes = {{"one-chunk", STATUS_SKIP, FINDING_NONE}, {"refused", STATUS_PASS, FINDING_NONE}},
     .kind = CONCLUSION_INCOMPLETE, .exit_status = 1, .says = "accepted no recipient",
     .advises = "--to ADDRESS"},
    {"greylisted", .no_recipient = true, .refusal = 451, .only_named = true,
     .outcomes = {{"one-chunk", STATUS_SKIP, FINDING_NONE}}, .kind = CONCLUSION_INCOMPLETE,
     .exit_status = 1, .advises = "greylisting"},
    {"wants AUTH at MAIL", .no_recipient = true, .sender_refused = true, .refusal = 530,
     .only_named = true, .outcomes = {{"refused", STATUS_SKIP, FINDING_NONE}},
     .kind = CONCLUSION_INCOMPLETE, .exit_status = 1, .says = "accepted no sender",
     .advises = "--auth"},
    {"wants AUTH at RCPT", .no_recipient = true, .refusal = 530, .only_named = true,
     .outcomes = {{"one-chunk", STATUS_SKIP, FINDING_NONE}}, .kind = CONCLUSION_INCOMPLETE,
     .exit_status = 1, .says = "accepted no recipient", .advises = "--auth"},
    {"wants no null sender", .no_recipient = true, .sender_refused = true, .refusal = 550,
     .only_named = true, .outcomes = {{"one-chunk", STATUS_SKIP, FINDING_NONE}},
     .kind = CONCLUSION_INCOMPLETE, .exit_status = 1, .advises = "--from ADDRESS"},
    {"needs no recipient", .no_recipient = true, .only_named = true,
     .outcomes = {{"refused", STATUS_PASS, FINDING_NONE}}, .kind = CONCLUSION_SELECTION,
     .advises = "whether CHUNKING works here is not known"},
    {"nothing of BDAT was selected", .only_named = true,
     .outcomes = {{"data", STATUS_PASS, FINDING_NONE}}, .kind = CONCLUSION_SELECTION,
     .says = "1 case passed, none failed."},
    {"no chunk was taken", .only_named = true,
     .outcomes = {{"malformed-empty", STATUS_PASS, FINDING_NONE},
                  {"long-lines", STATUS_WARN, FINDING_REFUSED}},
     .kind = CONCLUSION_SELECTION},
    {"nothing could be run", .only_named = true,
     .outcomes = {{"binary", STATUS_SKIP, FINDING_NONE}}, .kind = CONCLUSION_INCOMPLETE,
     .exit_status = 1, .says = "No case could be run"},
    {"no session", .no_session = true, .only_named = true, .kind = CONCLUSION_NO_SESSION,
     .exit_status = 3, .says = "nobody there"},
};

static const struct outcome *outcome_of(const struct row *row, const char *name)
{
    for (size_t i = 0; i < 6; i++)
        if (row->outcomes[i].name && strcmp(row->outcomes[i].name, name) == 0)
            return &row->outcomes[i];
    return NULL;
}

static size_t make_results(const struct row *row, struct case_result *results)
{
    size_t count = 0;
    for (size_t i = 0; i < probe_case_count; i++) {
        const struct outcome *outcome = outcome_of(row, probe_cases[i].name);
        if (!outcome && row->only_named)
            continue;
        struct case_result *result = &results[count++];
        memset(result, 0, sizeof(*result));
        result->definition = &probe_cases[i];
        result->status = outcome ? outcome->status : STATUS_PASS;
        result->finding = outcome ? outcome->finding : FINDING_NONE;
        snprintf(result->meaning, sizeof(result->meaning), "It was so.");
    }
    return count;
}

static void test_rules(void **state)
{
    (void)state;
    static struct case_result results[64];
    static struct survey survey;
    assert_true(probe_case_count <= 64);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *row = &rows[i];
        struct conclusion conclusion;
        memset(&survey, 0, sizeof(survey));
        survey.opening = row->no_session ? OPENING_UNREACHABLE : OPENING_DONE;
        snprintf(survey.why, sizeof(survey.why), "nobody there");
        survey.current.chunking = !row->no_chunking;
        survey.recipient_found = !row->no_recipient;
        survey.sender_refused = row->sender_refused;
        survey.refusal = row->refusal;
        size_t count = make_results(row, results);
        conclusion_draw(&conclusion, &survey, results, count, row->delivered);
        if (conclusion.kind != row->kind)
            fail_msg("%s: got %s, want %s", row->what, conclusion_name(conclusion.kind),
                     conclusion_name(row->kind));
        assert_int_equal(conclusion.exit_status, row->exit_status);
        assert_true(strlen(conclusion.summary) > 10);
        assert_non_null(conclusion.advice);
        if (row->says && !strstr(conclusion.explanation, row->says))
            fail_msg("%s: '%s' does not say '%s'", row->what, conclusion.explanation, row->says);
        if (row->never && strstr(conclusion.explanation, row->never))
            fail_msg("%s: '%s' says '%s'", row->what, conclusion.explanation, row->never);
        if (row->advises && !strstr(conclusion.advice[0], row->advises))
            fail_msg("%s: '%s' does not say '%s'", row->what, conclusion.advice[0], row->advises);
    }
}

/* The longest list of what was left out fits into the explanation. */
static void test_all_names_fit(void **state)
{
    (void)state;
    static struct case_result results[64];
    static struct survey survey = {.opening = OPENING_DONE, .recipient_found = true};
    struct conclusion conclusion;
    survey.current.chunking = true;
    for (size_t i = 0; i < probe_case_count; i++) {
        case_skip(&probe_cases[i], &results[i], FINDING_UNREACHABLE, "turned away");
        memset(results[i].meaning, 'x', sizeof(results[i].meaning) - 1);
        results[i].meaning[sizeof(results[i].meaning) - 1] = '\0';
    }
    conclusion_draw(&conclusion, &survey, results, probe_case_count, false);
    assert_int_equal(conclusion.kind, CONCLUSION_INCOMPLETE);
    assert_non_null(strstr(conclusion.explanation, "data, one-chunk, several-chunks"));
    assert_true(strlen(conclusion.explanation) + 1 < sizeof(conclusion.explanation));
    assert_string_equal(conclusion.explanation + strlen(conclusion.explanation) - 2, "xx");
}

/* Every failure comes with advice, and every word is its own. */
static void test_words(void **state)
{
    (void)state;
    for (int a = 0; a < CONCLUSION_COUNT; a++)
        for (int b = 0; b < a; b++)
            assert_string_not_equal(conclusion_name((enum conclusion_kind)a),
                                    conclusion_name((enum conclusion_kind)b));
    for (int a = 0; a < FINDING_COUNT; a++)
        for (int b = 0; b < a; b++)
            assert_string_not_equal(finding_name((enum finding)a), finding_name((enum finding)b));
}

static void test_cases_are_found_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < probe_case_count; i++) {
        assert_ptr_equal(case_find(probe_cases[i].name), &probe_cases[i]);
        assert_non_null(probe_cases[i].run);
        assert_true(strlen(probe_cases[i].title) > 3 && strlen(probe_cases[i].proves) > 10);
        assert_non_null(probe_cases[i].delivers);
        if (probe_cases[i].same_by_data) {
            const struct probe_case *data = case_find(probe_cases[i].same_by_data);
            assert_non_null(data);
            assert_true(data->message == probe_cases[i].message &&
                        (data->needs & NEED_NOT_CHUNKING));
        }
    }
    assert_null(case_find("no-such-case"));
}

static void test_obstacles(void **state)
{
    (void)state;
    static struct survey survey;
    memset(&survey, 0, sizeof(survey));
    assert_string_equal(case_obstacle(case_find("one-chunk"), &survey), "CHUNKING is not offered");
    survey.current.chunking = true;
    assert_non_null(strstr(case_obstacle(case_find("one-chunk"), &survey), "no recipient"));
    assert_null(case_obstacle(case_find("refused"), &survey));
    survey.sender_refused = true;
    assert_non_null(strstr(case_obstacle(case_find("refused"), &survey), "no sender"));
    survey.sender_refused = false;
    survey.recipient_found = true;
    assert_null(case_obstacle(case_find("one-chunk"), &survey));
    assert_non_null(case_obstacle(case_find("pipelined"), &survey));
    assert_non_null(case_obstacle(case_find("8-bit"), &survey));
    assert_non_null(case_obstacle(case_find("binary"), &survey));
    survey.current.size_limit = 100000;
    assert_non_null(case_obstacle(case_find("large"), &survey));
    survey.current.size_limit = 200000;
    assert_null(case_obstacle(case_find("large"), &survey));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),     cmocka_unit_test(test_all_names_fit),
        cmocka_unit_test(test_words),     cmocka_unit_test(test_cases_are_found_by_name),
        cmocka_unit_test(test_obstacles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
