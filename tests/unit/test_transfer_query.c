/* Queries of the control socket: what is understood, what is refused, what is found. */
#include "tests/unit/cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include "milter/clock.h"
#include "milter/transfer_query.h"

struct refusal {
    struct query_texts texts;
    const char *error; /* a part of the text; NULL = understood */
};

static const struct refusal refusals[] = {
    {{.limit = "1"}, NULL},
    {{.limit = "0"}, "limit is a number"},
    {{.limit = ""}, "limit is a number"},
    {{.limit = "-1"}, "limit is a number"},
    {{.limit = "+1"}, "limit is a number"},
    {{.limit = " 1"}, "limit is a number"},
    {{.limit = "1x"}, "limit is a number"},
    {{.limit = "99999999999999999999999999"}, NULL},
    {{.client = "192.0.2.1"}, NULL},
    {{.client = "192.0.2.0/24"}, NULL},
    {{.client = "192.0.2.1/24"}, "192.0.2.0/24"},
    {{.client = "2001:db8::/32"}, NULL},
    {{.client = "nonsense"}, "nonsense"},
    {{.client = ""}, ""},
    {{.verdict = "match"}, NULL},
    {{.verdict = "MATCH"}, "there is no such verdict; there are match normalized"},
    {{.verdict = ""}, "there is no such verdict"},
    {{.since = "2h"}, NULL},
    {{.since = "2026-11-23T04:15:09Z"}, NULL},
    {{.since = "2026-11-23T04:15:09.123Z"}, NULL},
    {{.since = "2026-11-23T04:15:09"}, NULL},
    {{.since = "2026-11-23"}, "since is a time"},
    {{.since = "2026-11-23T04:15:09+01:00"}, "since is a time"},
    {{.since = "yesterday"}, "since is a time"},
    {{.since = ""}, "since is a time"},
    {{.since = "9223372036854775807"}, NULL},
    {{.state = "suppressed"}, NULL},
    {{.state = "gone"}, "state is one of offered"},
    {{.queue_id = "A234567890123456789012345678901234567890"}, NULL},
};

static void test_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refusals); i++) {
        struct transfer_query query;
        char error[256] = "";
        int got = transfer_query_parse(&refusals[i].texts, &query, error, sizeof(error));
        if (got != (refusals[i].error != NULL ? -1 : 0))
            fail_msg("row %zu: got %d \"%s\"", i, got, error);
        if (got != 0 && strstr(error, refusals[i].error) == NULL)
            fail_msg("row %zu: \"%s\" does not say \"%s\"", i, error, refusals[i].error);
    }
}

static struct transfer_query parse(const struct query_texts *texts)
{
    struct transfer_query query;
    char error[256];
    assert_int_equal(transfer_query_parse(texts, &query, error, sizeof(error)), 0);
    return query;
}

static void test_values(void **state)
{
    const struct query_texts none = {0}, many = {.limit = "1000000"}, huge = {.since = "99999999w"};
    (void)state;
    assert_int_equal(parse(&none).limit, QUERY_LIMIT_DEFAULT);
    assert_int_equal(parse(&none).verdict, VERDICT_NONE);
    assert_int_equal(parse(&many).limit, QUERY_LIMIT_MAX);
    assert_int_equal(parse(&huge).since_wall_ms, 1);
    const struct query_texts at = {.since = "2001-09-09T01:46:40.5Z"};
    assert_int_equal(parse(&at).since_wall_ms, INT64_C(1000000000000));
    const struct query_texts ago = {.since = "1h"};
    int64_t back = clock_wall_ms() - parse(&ago).since_wall_ms;
    assert_in_range(back, 3600 * 1000 - 1000, 3600 * 1000 + 60000);
}

struct finding {
    struct query_texts texts;
    bool found;
};

static const struct finding findings[] = {
    {{0}, true},
    {{.client = "192.0.2.7"}, true},
    {{.client = "192.0.2.8"}, false},
    {{.client = "192.0.2.0/24"}, true},
    {{.client = "0.0.0.0/0"}, true},
    {{.client = "2001:db8::/32"}, false},
    {{.verdict = "lost"}, true},
    {{.verdict = "match"}, false},
    {{.queue_id = "ABC"}, true},
    {{.queue_id = "AB"}, false},
    {{.since = "2001-09-09T01:46:40Z"}, true},
    {{.since = "2001-09-09T01:46:41Z"}, false},
    {{.client = "192.0.2.7", .verdict = "lost", .queue_id = "ABC"}, true},
    {{.client = "192.0.2.7", .verdict = "match", .queue_id = "ABC"}, false},
};

static void test_findings(void **state)
{
    struct record record = {.verdict = VERDICT_LOST, .time_wall_ms = INT64_C(1000000000000)};
    (void)state;
    record.transfer.has_client =
        address_parse("192.0.2.7", strlen("192.0.2.7"), &record.transfer.client);
    snprintf(record.transfer.queue_id, sizeof(record.transfer.queue_id), "ABC");
    for (size_t i = 0; i < COUNT(findings); i++) {
        struct transfer_query query = parse(&findings[i].texts);
        if (transfer_query_matches(&query, &record) != findings[i].found)
            fail_msg("row %zu", i);
    }
    record.transfer.has_client = false;
    const struct query_texts all = {.client = "0.0.0.0/0"};
    struct transfer_query query = parse(&all);
    assert_false(transfer_query_matches(&query, &record));
}

static void test_filter(void **state)
{
    const struct query_texts texts = {.client = "192.0.2.0/24",
                                      .verdict = "stalled",
                                      .queue_id = "ABC",
                                      .since = "2001-09-09T01:46:40Z",
                                      .limit = "7"};
    struct transfer_query query = parse(&texts);
    struct incident_filter filter;
    (void)state;
    transfer_query_to_filter(&query, &filter);
    assert_true(filter.has_client);
    assert_int_equal(filter.client.prefix, 96 + 24);
    assert_int_equal(filter.verdict, VERDICT_STALLED);
    assert_int_equal(filter.since, 1000000000);
    assert_int_equal(filter.limit, 7);
    assert_string_equal(filter.queue_id, "ABC");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_findings),
        cmocka_unit_test(test_filter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
