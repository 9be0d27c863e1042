/* Suppression: who is offered CHUNKING, with a clock of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "milter/suppression.h"

#define MINUTE 60
#define HOUR 3600
#define DAY 86400
#define START INT64_C(1800000000)

static const uint8_t seed[SUPPRESSION_SEED_OCTETS] = "sixteen octets.";

static const struct suppression_settings defaults = {
    .enabled = true,
    .threshold = 2,
    .proven_threshold = 6,
    .window = HOUR,
    .hold = DAY,
    .max_hold = 30 * DAY,
    .ipv4_prefix = 32,
    .ipv6_prefix = 64,
    .max_clients = 1000000,
};

/* What a test works on: one table, one client, one clock. */
struct bench {
    struct suppression *suppression;
    struct address client;
    int64_t now;
    struct suppression_change change; /* of the last call */
};

static struct address addr(const char *text)
{
    struct address address;

    if (!address_parse(text, strlen(text), &address))
        fail_msg("%s is no address", text);
    return address;
}

static int setup(void **state)
{
    static struct bench bench;

    bench = (struct bench){
        .suppression = suppression_new(seed), .client = addr("192.0.2.1"), .now = START};
    assert_non_null(bench.suppression);
    suppression_configure(bench.suppression, &defaults);
    *state = &bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;

    suppression_free(&bench->suppression);
    assert_null(bench->suppression);
    suppression_free(&bench->suppression);
    return 0;
}

static enum offer offer(struct bench *b)
{
    return suppression_decide_offer(b->suppression, &b->client, b->now, &b->change);
}

static void bdat(struct bench *b, enum verdict verdict)
{
    suppression_record_bdat(b->suppression, &b->client, verdict, 0, true, b->now, &b->change);
}

static void clean_with_bare_lf(struct bench *b)
{
    suppression_record_bdat(b->suppression, &b->client, VERDICT_NORMALIZED, EVIDENCE_BARE_LF, true,
                            b->now, &b->change);
}

static void data(struct bench *b, bool succeeded)
{
    suppression_record_data(b->suppression, &b->client, succeeded, b->now, &b->change);
}

static struct client_record found(struct bench *b)
{
    struct client_record record = {0};

    assert_true(suppression_find(b->suppression, &b->client, b->now, &record));
    return record;
}

static bool is_known(struct bench *b)
{
    struct client_record record;

    return suppression_find(b->suppression, &b->client, b->now, &record);
}

/* Field by field: what lies between the fields is nobody's. */
static void assert_same_record(const struct client_record *a, const struct client_record *b)
{
    assert_memory_equal(a->client.address.octets, b->client.address.octets,
                        sizeof(a->client.address.octets));
    assert_int_equal(a->client.prefix, b->client.prefix);
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->by_operator, b->by_operator);
    assert_int_equal(a->needs_chunking, b->needs_chunking);
    assert_int_equal(a->proven, b->proven);
    assert_int_equal(a->strikes, b->strikes);
    assert_int_equal(a->since, b->since);
    assert_int_equal(a->until, b->until);
    assert_int_equal(a->hold_seconds, b->hold_seconds);
    assert_int_equal(a->last_seen, b->last_seen);
    assert_int_equal(a->last_clean, b->last_clean);
    assert_int_equal(a->last_bare_lf, b->last_bare_lf);
    assert_int_equal(a->last_data_failure, b->last_data_failure);
    assert_int_equal(a->last_verdict, b->last_verdict);
    assert_int_equal(a->bdat_transfers, b->bdat_transfers);
    assert_int_equal(a->data_transfers, b->data_transfers);
    assert_int_equal(a->data_good, b->data_good);
    assert_int_equal(a->data_failures, b->data_failures);
    for (size_t i = 0; i < SUPPRESSION_STRIKE_EVENTS; i++) {
        assert_int_equal(a->strike_events[i].time, b->strike_events[i].time);
        assert_int_equal(a->strike_events[i].weight, b->strike_events[i].weight);
    }
    assert_string_equal(a->reason, b->reason);
}

/* The last call did exactly that, and told of it rightly. */
#define assert_events(b, want) check_events(b, want, __LINE__)
static void check_events(struct bench *b, unsigned want, int line)
{
    if (b->change.events != want)
        fail_msg("line %d: events %#x, not %#x", line, b->change.events, want);
    if (want == 0)
        return;
    struct client_record record = found(b);
    assert_true(b->change.save);
    assert_int_equal(b->change.after, record.state);
    assert_same_record(&b->change.record, &record);
}

static void suppress_now(struct bench *b)
{
    bdat(b, VERDICT_STALLED);
    assert_events(b, SUPPRESSION_STRUCK | SUPPRESSION_SUPPRESSED);
    assert_int_equal(offer(b), WITHHOLD_CHUNKING);
}

static void test_an_unknown_client_is_offered_chunking(void **state)
{
    struct bench *b = *state;

    assert_int_equal(offer(b), OFFER_CHUNKING);
    assert_events(b, 0);
    assert_false(b->change.save);
    assert_false(is_known(b));
}

static void test_every_verdict_counts_as_it_should(void **state)
{
    struct bench *b = *state;

    for (int i = 0; i < VERDICT_COUNT; i++) {
        enum verdict verdict = (enum verdict)i;
        unsigned strikes = verdict_strikes(verdict);

        b->client.octets[15]++;
        bdat(b, verdict);
        assert_int_equal(is_known(b), strikes > 0 || verdict_is_clean(verdict));
        if (strikes == 0) {
            assert_events(b, 0);
            continue;
        }
        assert_events(b, SUPPRESSION_STRUCK | (strikes >= 2 ? SUPPRESSION_SUPPRESSED : 0));
        assert_int_equal(b->change.record.strikes, strikes);
        assert_int_equal(b->change.record.last_verdict, verdict);
        assert_int_equal(offer(b), strikes >= 2 ? WITHHOLD_CHUNKING : OFFER_CHUNKING);
    }
}

static void test_what_costs_nothing_changes_nothing(void **state)
{
    struct bench *b = *state;
    static const enum verdict neutral[] = {
        VERDICT_SIZE_EXCEEDED, VERDICT_ABANDONED,        VERDICT_NOT_OFFERED,
        VERDICT_UNVERIFIED,    VERDICT_FAILED_ELSEWHERE,
    };

    bdat(b, VERDICT_LOST);
    for (size_t i = 0; i < sizeof(neutral) / sizeof(neutral[0]); i++) {
        bdat(b, neutral[i]);
        assert_events(b, 0);
        assert_int_equal(found(b).strikes, 1);
        assert_false(found(b).proven);
        assert_int_equal(found(b).last_verdict, neutral[i]);
    }
    /* On probation they neither release nor suppress. */
    suppress_now(b);
    b->now += DAY;
    assert_int_equal(offer(b), OFFER_CHUNKING);
    for (size_t i = 0; i < sizeof(neutral) / sizeof(neutral[0]); i++) {
        bdat(b, neutral[i]);
        assert_int_equal(found(b).state, CLIENT_PROBATION);
    }
}

static void test_a_second_client_is_not_touched(void **state)
{
    struct bench *b = *state;

    suppress_now(b);
    b->client = addr("192.0.2.2");
    assert_int_equal(offer(b), OFFER_CHUNKING);
    b->client = addr("2001:db8::1");
    assert_int_equal(offer(b), OFFER_CHUNKING);
}

static void test_an_ipv6_client_is_its_64(void **state)
{
    struct bench *b = *state;
    char text[NETWORK_TEXT_SIZE];

    b->client = addr("2001:db8:1:2:3:4:5:6");
    suppress_now(b);
    struct client_record record = found(b);
    assert_string_equal(network_format(&record.client, text), "2001:db8:1:2::/64");
    b->client = addr("2001:db8:1:2:ffff::1");
    assert_int_equal(offer(b), WITHHOLD_CHUNKING);
    b->client = addr("2001:db8:1:3::1");
    assert_int_equal(offer(b), OFFER_CHUNKING);
}

static void test_strikes_count_within_the_window_only(void **state)
{
    struct bench *b = *state;

    bdat(b, VERDICT_LOST);
    b->now += HOUR;
    bdat(b, VERDICT_LOST);
    assert_events(b, SUPPRESSION_STRUCK);
    assert_int_equal(found(b).strikes, 1);
    b->now += HOUR - 1;
    bdat(b, VERDICT_LOST);
    assert_events(b, SUPPRESSION_STRUCK | SUPPRESSION_SUPPRESSED);
    assert_int_equal(b->change.before, CLIENT_OFFERED);
    assert_int_equal(b->change.record.until, b->now + DAY);
    assert_int_equal(b->change.record.since, b->now);
    assert_int_equal(b->change.record.hold_seconds, DAY);
}

/* One lost connection every 50 minutes: never two within the hour but for the last. */
static void test_a_slow_trickle_of_losses_never_adds_up(void **state)
{
    struct bench *b = *state;

    for (int i = 0; i < 1000; i++) {
        b->now += HOUR;
        bdat(b, VERDICT_LOST);
        assert_events(b, SUPPRESSION_STRUCK);
        assert_int_equal(offer(b), OFFER_CHUNKING);
    }
}

static void test_a_clean_transfer_clears_strikes(void **state)
{
    struct bench *b = *state;

    bdat(b, VERDICT_LOST);
    bdat(b, VERDICT_MATCH);
    assert_events(b, SUPPRESSION_CLEARED);
    assert_int_equal(found(b).strikes, 0);
    bdat(b, VERDICT_LOST);
    bdat(b, VERDICT_NORMALIZED);
    assert_events(b, SUPPRESSION_CLEARED);
    assert_int_equal(offer(b), OFFER_CHUNKING);
}

static void test_a_proven_client_needs_more(void **state)
{
    struct bench *b = *state;

    bdat(b, VERDICT_MATCH);
    assert_true(found(b).proven);
    for (int i = 0; i < 5; i++) {
        bdat(b, VERDICT_LOST);
        assert_events(b, SUPPRESSION_STRUCK);
    }
    assert_int_equal(found(b).strikes, 5);
    bdat(b, VERDICT_LOST);
    assert_events(b, SUPPRESSION_STRUCK | SUPPRESSION_SUPPRESSED);
    assert_int_equal(found(b).strikes, 6);
}

static void test_proof_lasts_for_the_window(void **state)
{
    struct bench *b = *state;

    bdat(b, VERDICT_MATCH);
    b->now += HOUR;
    assert_false(found(b).proven);
    bdat(b, VERDICT_STALLED);
    assert_events(b, SUPPRESSION_STRUCK | SUPPRESSION_SUPPRESSED);
}

/* Strikes of a proven client that were harmless count anew when the proof is old; only a new
 * strike suppresses, and only with those within the window. */
static void test_old_proof_leaves_recent_strikes(void **state)
{
    struct bench *b = *state;

    bdat(b, VERDICT_MATCH);
    b->now += HOUR - 10;
    bdat(b, VERDICT_LOST);
    b->now += 20;
    assert_int_equal(offer(b), OFFER_CHUNKING);
    bdat(b, VERDICT_LOST);
    assert_events(b, SUPPRESSION_STRUCK | SUPPRESSION_SUPPRESSED);
}

static void test_10000_clean_and_3_lost_are_not_suppressed(void **state)
{
    struct bench *b = *state;

    /* However the three are spread: apart, or all in a row at any place. */
    for (int at = 0; at <= 10000; at += 2500) {
        b->client.octets[15]++;
        bdat(b, VERDICT_MATCH);
        for (int i = 1; i < 10000; i++) {
            if (i == at || i == at + 1 || i == at + 2)
                bdat(b, VERDICT_LOST);
            bdat(b, i % 3 ? VERDICT_MATCH : VERDICT_NORMALIZED);
            assert_int_equal(offer(b), OFFER_CHUNKING);
            b->now += i % 2;
        }
        for (int i = 0; i < 3; i++)
            bdat(b, VERDICT_LOST);
        assert_int_equal(offer(b), OFFER_CHUNKING);
        assert_int_equal(found(b).state, CLIENT_OFFERED);
        assert_int_equal(found(b).strikes, 3);
        assert_true(found(b).bdat_transfers >= 10000);
    }
}

static void test_more_events_than_places_end_sooner_not_later(void **state)
{
    struct bench *b = *state;
    struct suppression_settings patient = defaults;

    patient.threshold = patient.proven_threshold = 20;
    suppression_configure(b->suppression, &patient);
    for (int i = 0; i < 19; i++) {
        bdat(b, VERDICT_LOST);
        b->now += 1;
        assert_int_equal(offer(b), OFFER_CHUNKING);
    }
    assert_int_equal(found(b).strikes, 19);
    bdat(b, VERDICT_LOST);
    assert_events(b, SUPPRESSION_STRUCK | SUPPRESSION_SUPPRESSED);
    /* The oldest have gone together an hour after the first, the last an hour after itself. */
    b->client.octets[15]++;
    int64_t first = b->now;
    for (int i = 0; i < 10; i++, b->now += MINUTE)
        bdat(b, VERDICT_LOST);
    b->now = first + HOUR - 1;
    assert_int_equal(found(b).strikes, 10);
    b->now = first + HOUR;
    assert_int_equal(found(b).strikes, 5);
    b->now = first + 9 * MINUTE + HOUR - 1;
    assert_int_equal(found(b).strikes, 1);
    b->now++;
    assert_int_equal(found(b).strikes, 0);
}

/* The exact window against a list of all strikes, with the default numbers. */
static void test_random_strikes_agree_with_a_list(void **state)
{
    struct bench *b = *state;
    uint64_t random = 99;
    struct suppression_settings never = defaults;

    never.threshold = never.proven_threshold = 1000;
    suppression_configure(b->suppression, &never);
    int64_t times[4000];
    size_t count = 0;
    for (int i = 0; i < 4000; i++) {
        random = random * 6364136223846793005U + 1442695040888963407U;
        b->now += (int64_t)(random >> 33) % (25 * MINUTE) + 11 * MINUTE;
        bdat(b, VERDICT_LOST);
        times[count++] = b->now;
        unsigned want = 0;
        for (size_t k = 0; k < count; k++)
            want += b->now - times[k] < HOUR;
        assert_int_equal(found(b).strikes, want);
    }
}

static void test_the_hold_passes_into_probation(void **state)
{
    struct bench *b = *state;

    suppress_now(b);
    b->now += DAY - 1;
    assert_int_equal(offer(b), WITHHOLD_CHUNKING);
    assert_events(b, 0);
    b->now += 1;
    assert_int_equal(found(b).state, CLIENT_PROBATION); /* a look notices, but does not touch */
    assert_int_equal(suppression_counts(b->suppression).states[CLIENT_SUPPRESSED], 1);
    assert_int_equal(offer(b), OFFER_CHUNKING);
    assert_events(b, SUPPRESSION_PROBATION);
    assert_int_equal(b->change.before, CLIENT_SUPPRESSED);
    assert_int_equal(suppression_counts(b->suppression).states[CLIENT_SUPPRESSED], 0);
    assert_int_equal(suppression_counts(b->suppression).states[CLIENT_PROBATION], 1);
    assert_int_equal(offer(b), OFFER_CHUNKING);
    assert_events(b, 0);
}

static void test_one_clean_transfer_ends_probation(void **state)
{
    struct bench *b = *state;

    suppress_now(b);
    b->now += DAY;
    assert_int_equal(offer(b), OFFER_CHUNKING);
    bdat(b, VERDICT_MATCH);
    assert_events(b, SUPPRESSION_RELEASED);
    assert_int_equal(b->change.before, CLIENT_PROBATION);
    assert_int_equal(found(b).state, CLIENT_OFFERED);
    assert_int_equal(found(b).hold_seconds, 0);
    b->now += 2 * HOUR;
    suppress_now(b);
    assert_int_equal(found(b).hold_seconds, DAY);
}

static void test_one_strike_on_probation_doubles_the_hold(void **state)
{
    struct bench *b = *state;
    static const int64_t days[] = {2, 4, 8, 16, 30, 30};

    suppress_now(b);
    for (size_t i = 0; i < sizeof(days) / sizeof(days[0]); i++) {
        b->now = found(b).until;
        assert_int_equal(offer(b), OFFER_CHUNKING);
        assert_int_equal(found(b).strikes, 0);
        bdat(b, VERDICT_LOST);
        assert_events(b, SUPPRESSION_STRUCK | SUPPRESSION_SUPPRESSED);
        assert_int_equal(b->change.before, CLIENT_PROBATION);
        assert_int_equal(found(b).hold_seconds, days[i] * DAY);
        assert_int_equal(found(b).until, b->now + days[i] * DAY);
    }
}

/* The strike comes before any lookup has noticed that the hold has passed. */
static void test_a_strike_may_be_the_first_to_notice_probation(void **state)
{
    struct bench *b = *state;

    suppress_now(b);
    b->now += DAY + HOUR;
    bdat(b, VERDICT_LOST);
    assert_events(b, SUPPRESSION_PROBATION | SUPPRESSION_STRUCK | SUPPRESSION_SUPPRESSED);
    assert_int_equal(found(b).hold_seconds, 2 * DAY);
}

static void test_probation_lapses(void **state)
{
    struct bench *b = *state;

    suppress_now(b);
    b->now += DAY;
    assert_int_equal(offer(b), OFFER_CHUNKING);
    b->now += 30 * DAY;
    assert_int_equal(offer(b), OFFER_CHUNKING);
    assert_events(b, SUPPRESSION_RELEASED);
    bdat(b, VERDICT_LOST);
    assert_events(b, SUPPRESSION_STRUCK);
}

/* Ten sessions at once that all stall: one suppression, with its hold counted once. */
static void test_strikes_while_suppressed_do_not_prolong(void **state)
{
    struct bench *b = *state;

    suppress_now(b);
    int64_t until = found(b).until;
    for (int i = 0; i < 300; i++) {
        b->now++;
        bdat(b, VERDICT_STALLED);
        assert_events(b, SUPPRESSION_STRUCK);
    }
    assert_int_equal(found(b).until, until);
    assert_int_equal(found(b).hold_seconds, DAY);
}

/* A session that began before the suppression ends well: that proves nothing new. */
static void test_a_clean_transfer_does_not_lift_a_suppression(void **state)
{
    struct bench *b = *state;

    suppress_now(b);
    bdat(b, VERDICT_MATCH);
    assert_events(b, SUPPRESSION_CLEARED);
    assert_int_equal(offer(b), WITHHOLD_CHUNKING);
}

static void test_who_needs_chunking_is_reported_and_left_alone(void **state)
{
    struct bench *b = *state;

    clean_with_bare_lf(b);
    assert_events(b, SUPPRESSION_NEEDS_CHUNKING);
    assert_true(found(b).needs_chunking);
    clean_with_bare_lf(b);
    assert_events(b, 0);
    for (int i = 0; i < 2; i++)
        bdat(b, VERDICT_STALLED);
    assert_events(b, SUPPRESSION_STRUCK);
    for (int i = 0; i < 100; i++) {
        b->now += MINUTE;
        bdat(b, VERDICT_STALLED);
        assert_events(b, SUPPRESSION_STRUCK | SUPPRESSION_SPARED);
        assert_int_equal(offer(b), OFFER_CHUNKING);
    }
    assert_int_equal(suppression_counts(b->suppression).states[CLIENT_SUPPRESSED], 0);
    /* For 30 days after the last of them, not longer. */
    b->now = START + 30 * DAY - 1;
    assert_true(found(b).needs_chunking);
    b->now = START + 30 * DAY;
    assert_false(found(b).needs_chunking);
    suppress_now(b);
}

/* Not every bare LF: only that of clean transfers. */
static void test_bare_lf_of_a_failed_transfer_is_no_need(void **state)
{
    struct bench *b = *state;

    suppression_record_bdat(b->suppression, &b->client, VERDICT_TRUNCATED, EVIDENCE_BARE_LF, true,
                            b->now, &b->change);
    assert_events(b, SUPPRESSION_STRUCK | SUPPRESSION_SUPPRESSED);
    assert_false(found(b).needs_chunking);
}

static void test_who_turns_out_to_need_chunking_is_released(void **state)
{
    struct bench *b = *state;

    suppress_now(b);
    clean_with_bare_lf(b);
    assert_events(b, SUPPRESSION_CLEARED | SUPPRESSION_NEEDS_CHUNKING | SUPPRESSION_RELEASED);
    assert_int_equal(offer(b), OFFER_CHUNKING);
}

static void test_who_needs_chunking_is_spared_on_probation(void **state)
{
    struct bench *b = *state;

    clean_with_bare_lf(b);
    assert_true(
        suppression_suppress(b->suppression, &b->client, HOUR, "a test", b->now, &b->change));
    b->now += HOUR;
    bdat(b, VERDICT_STALLED);
    assert_events(b, SUPPRESSION_PROBATION | SUPPRESSION_STRUCK | SUPPRESSION_SPARED);
    assert_int_equal(offer(b), OFFER_CHUNKING);
}

static void test_data_that_fails_too_undoes_the_suppression(void **state)
{
    struct bench *b = *state;

    suppress_now(b);
    b->now += 10 * MINUTE;
    data(b, false);
    assert_events(b, SUPPRESSION_PATH_TROUBLE);
    assert_int_equal(b->change.before, CLIENT_SUPPRESSED);
    assert_int_equal(found(b).until, b->now + HOUR);
    assert_int_equal(found(b).strikes, 0);
    assert_int_equal(suppression_counts(b->suppression).states[CLIENT_PATH_TROUBLE], 1);
    assert_int_equal(offer(b), OFFER_CHUNKING);
    /* As long as it lasts, BDAT that fails suppresses nothing. */
    for (int i = 0; i < 10; i++) {
        b->now += MINUTE;
        bdat(b, VERDICT_STALLED);
        assert_events(b, SUPPRESSION_STRUCK);
        assert_int_equal(offer(b), OFFER_CHUNKING);
    }
    /* DATA that fails again prolongs it. */
    data(b, false);
    assert_events(b, 0);
    assert_int_equal(found(b).until, b->now + HOUR);
    assert_int_equal(found(b).state, CLIENT_PATH_TROUBLE);
}

static void test_path_trouble_ends_with_the_window(void **state)
{
    struct bench *b = *state;

    suppress_now(b);
    data(b, false);
    b->now += HOUR - 1;
    assert_int_equal(found(b).state, CLIENT_PATH_TROUBLE);
    bdat(b, VERDICT_LOST);
    b->now += 1;
    assert_int_equal(offer(b), OFFER_CHUNKING);
    assert_events(b, SUPPRESSION_PATH_SOUND);
    /* Were the diagnosis wrong, BDAT's strikes count again, those during it included. */
    bdat(b, VERDICT_LOST);
    assert_events(b, SUPPRESSION_STRUCK | SUPPRESSION_SUPPRESSED);
    assert_int_equal(found(b).hold_seconds, DAY);
}

static void test_path_trouble_ends_with_what_goes_well(void **state)
{
    struct bench *b = *state;

    suppress_now(b);
    data(b, false);
    data(b, true);
    assert_events(b, SUPPRESSION_PATH_SOUND);
    assert_int_equal(b->change.before, CLIENT_PATH_TROUBLE);
    suppress_now(b);
    data(b, false);
    bdat(b, VERDICT_MATCH);
    assert_events(b, SUPPRESSION_PATH_SOUND);
    assert_int_equal(found(b).state, CLIENT_OFFERED);
    assert_int_equal(suppression_counts(b->suppression).states[CLIENT_PATH_TROUBLE], 0);
}

/* Where DATA has proven itself, one lost connection among many is daily life. */
static void test_one_failed_data_among_good_ones_changes_nothing(void **state)
{
    struct bench *b = *state;

    suppress_now(b);
    data(b, true);
    assert_events(b, SUPPRESSION_DATA_WORKS);
    for (int i = 0; i < 100; i++) {
        data(b, true);
        assert_events(b, 0);
    }
    data(b, false);
    assert_events(b, 0);
    assert_int_equal(offer(b), WITHHOLD_CHUNKING);
    b->now += HOUR;
    data(b, false);
    assert_events(b, 0);
    b->now += HOUR - 1;
    data(b, false);
    assert_events(b, SUPPRESSION_PATH_TROUBLE);
}

/* What DATA did in an earlier suppression says nothing about this one. */
static void test_each_suppression_judges_data_anew(void **state)
{
    struct bench *b = *state;

    suppress_now(b);
    data(b, true);
    b->now += DAY;
    bdat(b, VERDICT_LOST);
    assert_int_equal(found(b).state, CLIENT_SUPPRESSED);
    data(b, true);
    assert_events(b, SUPPRESSION_DATA_WORKS);
    assert_int_equal(found(b).data_transfers, 2);
}

static void test_data_of_others_is_not_kept(void **state)
{
    struct bench *b = *state;

    data(b, false);
    assert_events(b, 0);
    data(b, true);
    assert_false(is_known(b));
    bdat(b, VERDICT_LOST);
    data(b, false); /* not suppressed: noted, no more */
    assert_events(b, 0);
    assert_int_equal(found(b).last_data_failure, b->now);
    assert_int_equal(found(b).state, CLIENT_OFFERED);
    assert_int_equal(found(b).strikes, 1);
}

static void test_an_operator_suppresses_and_releases(void **state)
{
    struct bench *b = *state;

    assert_false(suppression_release(b->suppression, &b->client, b->now, &b->change));
    assert_true(suppression_suppress(b->suppression, &b->client, 2 * HOUR, "asked for by phone",
                                     b->now, &b->change));
    assert_events(b, SUPPRESSION_SUPPRESSED);
    assert_string_equal(b->change.record.reason, "asked for by phone");
    assert_true(b->change.record.by_operator);
    assert_int_equal(b->change.record.last_verdict, VERDICT_NONE);
    assert_int_equal(b->change.record.until, b->now + 2 * HOUR);
    assert_int_equal(offer(b), WITHHOLD_CHUNKING);
    /* Neither DATA nor bare LFs undo an operator's word. */
    data(b, false);
    assert_events(b, 0);
    clean_with_bare_lf(b);
    assert_events(b, SUPPRESSION_NEEDS_CHUNKING);
    assert_int_equal(offer(b), WITHHOLD_CHUNKING);
    assert_true(suppression_release(b->suppression, &b->client, b->now, &b->change));
    assert_events(b, SUPPRESSION_RELEASED);
    assert_string_equal(found(b).reason, "");
    assert_false(found(b).by_operator);
    assert_int_equal(offer(b), OFFER_CHUNKING);
    assert_false(suppression_release(b->suppression, &b->client, b->now, &b->change));
    assert_events(b, 0);
}

static void test_release_forgets_strikes_and_hold(void **state)
{
    struct bench *b = *state;

    bdat(b, VERDICT_LOST);
    assert_true(suppression_release(b->suppression, &b->client, b->now, NULL));
    assert_int_equal(found(b).strikes, 0);
    suppress_now(b);
    b->now += DAY;
    bdat(b, VERDICT_LOST);
    assert_int_equal(found(b).hold_seconds, 2 * DAY);
    assert_true(suppression_release(b->suppression, &b->client, b->now, NULL));
    suppress_now(b);
    assert_int_equal(found(b).hold_seconds, DAY);
}

static void test_an_operators_hold_has_its_own_length(void **state)
{
    struct bench *b = *state;
    const char *reason = "a reason of more than 127 octets .................................."
                         "..................................................................";

    assert_true(suppression_suppress(b->suppression, &b->client, 0, NULL, b->now, &b->change));
    assert_int_equal(found(b).until, b->now + DAY);
    assert_true(suppression_suppress(b->suppression, &b->client, 365 * DAY, reason, b->now, NULL));
    assert_int_equal(found(b).until, b->now + 365 * DAY);
    assert_int_equal(strlen(found(b).reason), SUPPRESSION_REASON_SIZE - 1);
    assert_true(suppression_suppress(b->suppression, &b->client, 10, NULL, b->now, &b->change));
    assert_string_equal(found(b).reason, "");
    /* Its probation doubles like any other, but not below the configured hold. */
    b->now += 10;
    bdat(b, VERDICT_LOST);
    assert_int_equal(found(b).hold_seconds, DAY);
    assert_false(found(b).by_operator);
}

static void test_a_pinned_client_and_observe_mode_suppress_nothing(void **state)
{
    struct bench *b = *state;

    for (int i = 0; i < 10; i++) {
        suppression_record_bdat(b->suppression, &b->client, VERDICT_STALLED, 0, false, b->now,
                                &b->change);
        assert_events(b, SUPPRESSION_STRUCK);
        assert_int_equal(offer(b), OFFER_CHUNKING);
    }
    /* With the rule gone, the next strike tells. */
    suppress_now(b);
    b->now += DAY;
    suppression_record_bdat(b->suppression, &b->client, VERDICT_STALLED, 0, false, b->now,
                            &b->change);
    assert_events(b, SUPPRESSION_PROBATION | SUPPRESSION_STRUCK);
    assert_int_equal(found(b).state, CLIENT_PROBATION);
}

static void test_switched_off_all_are_offered(void **state)
{
    struct bench *b = *state;
    struct suppression_settings off = defaults;

    suppress_now(b);
    off.enabled = false;
    suppression_configure(b->suppression, &off);
    assert_int_equal(offer(b), OFFER_CHUNKING);
    b->client.octets[15]++;
    bdat(b, VERDICT_STALLED);
    assert_events(b, SUPPRESSION_STRUCK);
    b->client.octets[15]--;
    suppression_configure(b->suppression, &defaults);
    assert_int_equal(offer(b), WITHHOLD_CHUNKING);
}

/* The clock steps. */
static void test_a_step_of_an_hour_shifts_a_hold_by_no_more(void **state)
{
    struct bench *b = *state;

    suppress_now(b);
    int64_t real = b->now;
    b->now = real - HOUR; /* back: the rest is never more than the whole hold */
    assert_int_equal(offer(b), WITHHOLD_CHUNKING);
    assert_int_equal(found(b).until, b->now + DAY);
    b->now = real + HOUR; /* forward */
    assert_int_equal(offer(b), WITHHOLD_CHUNKING);
    b->now = real + DAY;
    assert_int_equal(offer(b), OFFER_CHUNKING);
    assert_events(b, SUPPRESSION_PROBATION);
    b->now = real + DAY - HOUR;
    assert_int_equal(offer(b), OFFER_CHUNKING);
    assert_int_equal(found(b).state, CLIENT_PROBATION);
}

static void test_a_step_back_never_adds_a_strike(void **state)
{
    struct bench *b = *state;

    bdat(b, VERDICT_LOST);
    b->now -= HOUR;
    assert_int_equal(found(b).strikes, 1);
    bdat(b, VERDICT_MATCH);
    assert_true(found(b).proven);
    assert_int_equal(found(b).strikes, 0);
    /* What lay in the future is now "just now" and ends an hour from here. */
    b->now += HOUR;
    assert_false(found(b).proven);
}

static void test_a_clock_that_was_far_ahead_does_no_lasting_harm(void **state)
{
    struct bench *b = *state;

    b->now += 3650 * (int64_t)DAY;
    bdat(b, VERDICT_LOST);
    b->now = START;
    assert_int_equal(offer(b), OFFER_CHUNKING);
    b->now += HOUR;
    assert_int_equal(found(b).strikes, 0);
    b->now += 3650 * (int64_t)DAY;
    suppress_now(b);
    b->now = START;
    assert_int_equal(offer(b), WITHHOLD_CHUNKING);
    assert_int_equal(found(b).until, START + DAY);
    data(b, false);
    assert_int_equal(found(b).until, START + HOUR);
}

static void test_odd_times_are_no_trouble(void **state)
{
    struct bench *b = *state;
    static const int64_t times[] = {INT64_MIN, -1, 0, 1, UINT32_MAX, INT64_MAX};

    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        b->now = times[i];
        b->client.octets[15]++;
        bdat(b, VERDICT_STALLED);
        assert_int_equal(b->change.events, SUPPRESSION_STRUCK | SUPPRESSION_SUPPRESSED);
        /* At the end of time a hold has no room left. */
        assert_int_equal(offer(b), times[i] < UINT32_MAX ? WITHHOLD_CHUNKING : OFFER_CHUNKING);
    }
}

/* Listing. */
struct listed {
    struct client_record records[64];
    size_t count;
};

static bool note_client(void *context, const struct client_record *record)
{
    struct listed *listed = context;

    assert_true(listed->count < 64);
    listed->records[listed->count++] = *record;
    return true;
}

static size_t list(struct bench *b, const struct client_filter *filter, struct listed *listed)
{
    listed->count = 0;
    size_t visited = suppression_list(b->suppression, filter, b->now, note_client, listed);
    assert_int_equal(visited, listed->count);
    return listed->count;
}

/* Makes clients 192.0.2.1 to .6: plain, needing, struck, suppressed, on probation, in trouble. */
static void make_one_of_each(struct bench *b)
{
    b->client = addr("192.0.2.5");
    assert_true(suppression_suppress(b->suppression, &b->client, 1, NULL, b->now - 1, NULL));
    assert_int_equal(offer(b), OFFER_CHUNKING);
    b->client = addr("192.0.2.1");
    bdat(b, VERDICT_MATCH);
    b->client = addr("192.0.2.2");
    clean_with_bare_lf(b);
    b->client = addr("192.0.2.3");
    bdat(b, VERDICT_LOST);
    b->client = addr("192.0.2.4");
    bdat(b, VERDICT_STALLED);
    b->client = addr("192.0.2.6");
    bdat(b, VERDICT_STALLED);
    data(b, false);
}

static void test_listing_by_state_and_age(void **state)
{
    struct bench *b = *state;
    struct listed listed;
    static const struct {
        struct client_filter filter;
        const char *want; /* the last octets */
    } rows[] = {
        {{.limit = 100}, "643215"},
        {{.limit = 3}, "643"},
        {{.limit = 0}, ""},
        {{.has_state = true, .state = CLIENT_OFFERED, .limit = 100}, "321"},
        {{.has_state = true, .state = CLIENT_SUPPRESSED, .limit = 100}, "4"},
        {{.has_state = true, .state = CLIENT_PROBATION, .limit = 100}, "5"},
        {{.has_state = true, .state = CLIENT_PATH_TROUBLE, .limit = 100}, "6"},
        {{.struck_only = true, .limit = 100}, "43"},
        {{.has_state = true, .state = CLIENT_STATE_COUNT, .limit = 100}, ""},
    };

    make_one_of_each(b);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char got[65] = "";

        list(b, &rows[i].filter, &listed);
        for (size_t k = 0; k < listed.count; k++)
            got[k] = (char)('0' + listed.records[k].client.address.octets[15]);
        assert_string_equal(got, rows[i].want);
    }
}

static void test_listing_within_a_network(void **state)
{
    struct bench *b = *state;
    struct listed listed;
    struct network net;
    char error[100];

    make_one_of_each(b);
    b->client = addr("2001:db8:1:2:3::4");
    bdat(b, VERDICT_LOST);
    assert_int_equal(network_parse("192.0.2.4/30", &net, error, sizeof(error)), 0);
    assert_int_equal(list(b, &(struct client_filter){.within = &net, .limit = 9}, &listed), 3);
    /* A network within a client's own finds that client. */
    assert_int_equal(network_parse("2001:db8:1:2::99", &net, error, sizeof(error)), 0);
    assert_int_equal(list(b, &(struct client_filter){.within = &net, .limit = 9}, &listed), 1);
    assert_int_equal(network_parse("2001:db8:1:3::/64", &net, error, sizeof(error)), 0);
    assert_int_equal(list(b, &(struct client_filter){.within = &net, .limit = 9}, &listed), 0);
}

/* A listing tells states as of now, whether or not anyone has come by since. */
static void test_listing_notices_time(void **state)
{
    struct bench *b = *state;
    struct listed listed;

    make_one_of_each(b);
    b->now += DAY;
    assert_int_equal(
        list(b, &(struct client_filter){.has_state = true, .state = CLIENT_SUPPRESSED, .limit = 9},
             &listed),
        0);
    assert_int_equal(
        list(b, &(struct client_filter){.has_state = true, .state = CLIENT_PROBATION, .limit = 9},
             &listed),
        2);
    assert_int_equal(
        list(b, &(struct client_filter){.has_state = true, .state = CLIENT_OFFERED, .limit = 9},
             &listed),
        4);
}

static void test_counts_are_those_of_the_states(void **state)
{
    struct bench *b = *state;

    make_one_of_each(b);
    struct suppression_counts counts = suppression_counts(b->suppression);
    assert_int_equal(counts.clients, 6);
    assert_int_equal(counts.states[CLIENT_OFFERED], 3);
    assert_int_equal(counts.states[CLIENT_SUPPRESSED], 1);
    assert_int_equal(counts.states[CLIENT_PROBATION], 1);
    assert_int_equal(counts.states[CLIENT_PATH_TROUBLE], 1);
    assert_int_equal(counts.evicted, 0);
}

static void test_the_sweep_notices_what_time_brought(void **state)
{
    struct bench *b = *state;
    unsigned events = 0, calls = 0;
    size_t budget = 1000;

    make_one_of_each(b);
    b->now += DAY;
    while (suppression_sweep(b->suppression, &budget, b->now, &b->change)) {
        events |= b->change.events;
        calls++;
        assert_true(b->change.save);
    }
    assert_int_equal(calls, 2); /* the one whose hold has passed, the path that is sound */
    assert_int_equal(events, SUPPRESSION_PROBATION | SUPPRESSION_PATH_SOUND);
    assert_int_equal(suppression_counts(b->suppression).states[CLIENT_SUPPRESSED], 0);
    assert_int_equal(suppression_counts(b->suppression).clients, 6);
    assert_int_equal(budget, 0);
    /* A month on, all are forgotten: first probation ends, then nobody is missed. */
    b->now += 31 * DAY;
    for (int round = 0; round < 3; round++) {
        budget = 1000;
        while (suppression_sweep(b->suppression, &budget, b->now, &b->change))
            assert_true((b->change.events & (SUPPRESSION_FORGOTTEN | SUPPRESSION_RELEASED)) != 0);
    }
    assert_int_equal(suppression_counts(b->suppression).clients, 0);
}

static void test_the_sweep_keeps_to_its_budget(void **state)
{
    struct bench *b = *state;
    size_t budget = 0, swept = 0;

    for (int i = 0; i < 100; i++) {
        b->client.octets[14] = (uint8_t)i;
        bdat(b, VERDICT_MATCH);
    }
    b->now += 31 * DAY;
    assert_false(suppression_sweep(b->suppression, &budget, b->now, &b->change));
    budget = 10;
    while (suppression_sweep(b->suppression, &budget, b->now, &b->change))
        swept++;
    assert_int_equal(swept, 10);
    assert_int_equal(suppression_counts(b->suppression).clients, 90);
}

/* Storing. */
static void test_export_and_import_are_the_same(void **state)
{
    struct bench *b = *state;
    struct listed before, after;
    const struct client_filter all = {.limit = 64};

    make_one_of_each(b);
    b->client = addr("2001:db8::1");
    assert_true(suppression_suppress(b->suppression, &b->client, 0, "a reason", b->now, NULL));
    list(b, &all, &before);
    suppression_free(&b->suppression);
    b->suppression = suppression_new(seed);
    for (size_t i = before.count; i-- > 0;)
        assert_true(suppression_import(b->suppression, &before.records[i], b->now));
    assert_int_equal(list(b, &all, &after), before.count);
    for (size_t i = 0; i < before.count; i++)
        assert_same_record(&after.records[i], &before.records[i]);
    assert_int_equal(suppression_counts(b->suppression).states[CLIENT_SUPPRESSED], 2);
    assert_int_equal(offer(b), WITHHOLD_CHUNKING);
}

static void test_a_restart_continues_the_story(void **state)
{
    struct bench *b = *state;

    suppress_now(b);
    b->now += DAY;
    bdat(b, VERDICT_LOST);
    struct client_record record = b->change.record;
    suppression_free(&b->suppression);
    b->suppression = suppression_new(seed);
    b->now += 2 * DAY - 10; /* the daemon was down for almost two days */
    assert_true(suppression_import(b->suppression, &record, b->now));
    assert_int_equal(offer(b), WITHHOLD_CHUNKING);
    b->now += 10;
    assert_int_equal(offer(b), OFFER_CHUNKING);
    assert_events(b, SUPPRESSION_PROBATION);
    bdat(b, VERDICT_LOST);
    assert_int_equal(found(b).hold_seconds, 4 * DAY);
}

static void test_import_takes_no_old_and_no_bad_records(void **state)
{
    struct bench *b = *state;
    struct client_record record, bad;

    suppress_now(b);
    record = found(b);
    assert_false(suppression_import(b->suppression, &record, b->now));
    record.last_seen++;
    record.state = CLIENT_OFFERED;
    assert_true(suppression_import(b->suppression, &record, b->now + 1));
    assert_int_equal(found(b).state, CLIENT_OFFERED);
    record.last_seen++;
    bad = record;
    bad.state = CLIENT_STATE_COUNT;
    assert_false(suppression_import(b->suppression, &bad, b->now));
    bad = record;
    bad.last_verdict = VERDICT_COUNT;
    assert_false(suppression_import(b->suppression, &bad, b->now));
    bad = record;
    bad.client.prefix = 200;
    assert_false(suppression_import(b->suppression, &bad, b->now));
    bad = record;
    bad.client.prefix = 127; /* not how clients are kept */
    assert_false(suppression_import(b->suppression, &bad, b->now));
    bad = record;
    bad.client.address = addr("2001:db8::1");
    bad.client.prefix = 64; /* bits behind the prefix */
    assert_false(suppression_import(b->suppression, &bad, b->now));
    assert_int_equal(suppression_counts(b->suppression).clients, 1);
}

/* A client that only does well is stored now and then, so that it is proven after a restart. */
static void test_clean_transfers_are_stored_sparingly(void **state)
{
    struct bench *b = *state;
    unsigned saved = 0;

    for (int i = 0; i < 3600; i++) {
        bdat(b, VERDICT_MATCH);
        assert_events(b, 0);
        saved += b->change.save;
        b->now++;
    }
    assert_int_equal(saved, 4);
}

static void test_walking_visits_each_once(void **state)
{
    struct bench *b = *state;
    struct listed walked = {.count = 0};
    size_t cursor = 0, calls = 1;
    bool seen[10] = {false};

    make_one_of_each(b);
    while (suppression_walk(b->suppression, &cursor, 2, b->now, note_client, &walked))
        calls++;
    assert_int_equal(calls, 3);
    assert_int_equal(walked.count, 6);
    for (size_t i = 0; i < walked.count; i++) {
        unsigned octet = walked.records[i].client.address.octets[15];
        assert_true(octet < 10 && !seen[octet]);
        seen[octet] = true;
    }
}

/* Settings. */
static void test_another_prefix_starts_anew(void **state)
{
    struct bench *b = *state;
    struct suppression_settings wide = defaults;

    suppress_now(b);
    b->client = addr("2001:db8::1");
    suppress_now(b);
    wide.ipv4_prefix = 24;
    suppression_configure(b->suppression, &wide);
    assert_int_equal(offer(b), WITHHOLD_CHUNKING);
    b->client = addr("192.0.2.1");
    assert_int_equal(offer(b), OFFER_CHUNKING);
    assert_int_equal(suppression_counts(b->suppression).clients, 1);
    suppress_now(b);
    b->client = addr("192.0.2.200");
    assert_int_equal(offer(b), WITHHOLD_CHUNKING);
}

static void test_beyond_max_clients_the_least_recently_seen_go(void **state)
{
    struct bench *b = *state;
    struct suppression_settings small = defaults;

    small.max_clients = 3;
    suppression_configure(b->suppression, &small);
    for (uint8_t i = 1; i <= 3; i++) {
        b->client.octets[15] = i;
        bdat(b, VERDICT_STALLED);
    }
    b->client.octets[15] = 1;
    assert_int_equal(offer(b), WITHHOLD_CHUNKING); /* seen: now 2 is the oldest */
    b->client.octets[15] = 4;
    bdat(b, VERDICT_STALLED);
    assert_int_equal(suppression_counts(b->suppression).clients, 3);
    assert_int_equal(suppression_counts(b->suppression).evicted, 1);
    b->client.octets[15] = 2;
    assert_false(is_known(b));
    b->client.octets[15] = 1;
    assert_true(is_known(b));
    /* One who does well finds no room among those that are held, and asks for none. */
    b->client.octets[15] = 9;
    bdat(b, VERDICT_MATCH);
    assert_false(is_known(b));
    assert_false(b->change.save);
    small.max_clients = 0;
    suppression_configure(b->suppression, &small);
    bdat(b, VERDICT_STALLED);
    assert_false(is_known(b));
    assert_false(suppression_suppress(b->suppression, &b->client, 0, NULL, b->now, &b->change));
}

static void test_a_lower_limit_is_reached_step_by_step(void **state)
{
    struct bench *b = *state;
    struct suppression_settings small = defaults;
    size_t budget;

    for (int i = 0; i < 200; i++) {
        b->client.octets[15] = (uint8_t)i;
        bdat(b, i < 100 ? VERDICT_LOST : VERDICT_MATCH);
    }
    small.max_clients = 50;
    suppression_configure(b->suppression, &small);
    for (int i = 0; i < 30; i++) {
        budget = 1;
        (void)suppression_sweep(b->suppression, &budget, b->now, &b->change);
    }
    assert_int_equal(suppression_counts(b->suppression).clients, 50);
    b->client.octets[15] = 99; /* the struck stay, the newest of them */
    assert_true(is_known(b));
    b->client.octets[15] = 49;
    assert_false(is_known(b));
    b->client.octets[15] = 199;
    assert_false(is_known(b));
}

static void test_names_find_their_way_back(void **state)
{
    (void)state;
    enum client_state found_state = CLIENT_PROBATION;

    for (unsigned i = 0; i < CLIENT_STATE_COUNT; i++) {
        const char *name = client_state_name((enum client_state)i);
        assert_true(client_state_from_name(name, &found_state));
        assert_int_equal(found_state, i);
    }
    assert_string_equal(client_state_name(CLIENT_PATH_TROUBLE), "path_trouble");
    assert_false(client_state_from_name("nowhere", &found_state));
    assert_string_equal(client_state_name(CLIENT_STATE_COUNT), "unknown");
    for (unsigned a = 0; a < SUPPRESSION_EVENT_BITS; a++)
        for (unsigned c = 0; c < a; c++)
            assert_string_not_equal(suppression_event_name(a), suppression_event_name(c));
    assert_string_equal(suppression_event_name(10), "forgotten");
    assert_string_equal(suppression_event_name(11), "unknown");
}

#define with_bench(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_bench(test_an_unknown_client_is_offered_chunking),
        with_bench(test_every_verdict_counts_as_it_should),
        with_bench(test_what_costs_nothing_changes_nothing),
        with_bench(test_a_second_client_is_not_touched),
        with_bench(test_an_ipv6_client_is_its_64),
        with_bench(test_strikes_count_within_the_window_only),
        with_bench(test_a_slow_trickle_of_losses_never_adds_up),
        with_bench(test_a_clean_transfer_clears_strikes),
        with_bench(test_a_proven_client_needs_more),
        with_bench(test_proof_lasts_for_the_window),
        with_bench(test_old_proof_leaves_recent_strikes),
        with_bench(test_10000_clean_and_3_lost_are_not_suppressed),
        with_bench(test_more_events_than_places_end_sooner_not_later),
        with_bench(test_random_strikes_agree_with_a_list),
        with_bench(test_the_hold_passes_into_probation),
        with_bench(test_one_clean_transfer_ends_probation),
        with_bench(test_one_strike_on_probation_doubles_the_hold),
        with_bench(test_a_strike_may_be_the_first_to_notice_probation),
        with_bench(test_probation_lapses),
        with_bench(test_strikes_while_suppressed_do_not_prolong),
        with_bench(test_a_clean_transfer_does_not_lift_a_suppression),
        with_bench(test_who_needs_chunking_is_reported_and_left_alone),
        with_bench(test_bare_lf_of_a_failed_transfer_is_no_need),
        with_bench(test_who_turns_out_to_need_chunking_is_released),
        with_bench(test_who_needs_chunking_is_spared_on_probation),
        with_bench(test_data_that_fails_too_undoes_the_suppression),
        with_bench(test_path_trouble_ends_with_the_window),
        with_bench(test_path_trouble_ends_with_what_goes_well),
        with_bench(test_one_failed_data_among_good_ones_changes_nothing),
        with_bench(test_each_suppression_judges_data_anew),
        with_bench(test_data_of_others_is_not_kept),
        with_bench(test_an_operator_suppresses_and_releases),
        with_bench(test_release_forgets_strikes_and_hold),
        with_bench(test_an_operators_hold_has_its_own_length),
        with_bench(test_a_pinned_client_and_observe_mode_suppress_nothing),
        with_bench(test_switched_off_all_are_offered),
        with_bench(test_a_step_of_an_hour_shifts_a_hold_by_no_more),
        with_bench(test_a_step_back_never_adds_a_strike),
        with_bench(test_a_clock_that_was_far_ahead_does_no_lasting_harm),
        with_bench(test_odd_times_are_no_trouble),
        with_bench(test_listing_by_state_and_age),
        with_bench(test_listing_within_a_network),
        with_bench(test_listing_notices_time),
        with_bench(test_counts_are_those_of_the_states),
        with_bench(test_the_sweep_notices_what_time_brought),
        with_bench(test_the_sweep_keeps_to_its_budget),
        with_bench(test_export_and_import_are_the_same),
        with_bench(test_a_restart_continues_the_story),
        with_bench(test_import_takes_no_old_and_no_bad_records),
        with_bench(test_clean_transfers_are_stored_sparingly),
        with_bench(test_walking_visits_each_once),
        with_bench(test_another_prefix_starts_anew),
        with_bench(test_beyond_max_clients_the_least_recently_seen_go),
        with_bench(test_a_lower_limit_is_reached_step_by_step),
        with_bench(test_names_find_their_way_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
