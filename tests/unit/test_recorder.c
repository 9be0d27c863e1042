/* The recorder: counters, the ring beyond its end, overruns, followers, and a log line that no
 * client can forge. */
#include "tests/unit/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "milter/recorder.h"

/* The log of these tests keeps the last line. */
struct log {
    unsigned lines;
    enum log_level level;
    char last[2048];
};

bool log_wants(const struct log *log, enum log_level level)
{
    (void)log;
    (void)level;
    return true;
}

void log_write_fields(struct log *log, enum log_level level, const struct log_field *fields,
                      size_t field_count, const char *format, ...)
{
    va_list arguments;
    (void)fields;
    assert_true(field_count <= 12);
    va_start(arguments, format);
    vsnprintf(log->last, sizeof(log->last), format, arguments);
    va_end(arguments);
    log->level = level;
    log->lines++;
}

struct bench {
    struct log log;
    struct recorder *recorder;
};

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    assert_non_null(bench);
    bench->recorder = recorder_new(&bench->log);
    assert_non_null(bench->recorder);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    recorder_free(&bench->recorder);
    assert_null(bench->recorder);
    recorder_free(&bench->recorder);
    free(bench);
    return 0;
}

static struct record make_record(uint64_t id, enum verdict verdict)
{
    struct record record = {.verdict = verdict, .answered = true, .action = ACTION_ACCEPT};
    record.transfer.id = id;
    record.transfer.pid = 77;
    record.transfer.mode = TRANSFER_BDAT;
    record.transfer.chunk_count = 2;
    record.transfer.declared = 100;
    record.transfer.has_received = true;
    record.transfer.received = 102;
    snprintf(record.transfer.queue_id, sizeof(record.transfer.queue_id), "Q%llu",
             (unsigned long long)id);
    return record;
}

static void test_line(void **state)
{
    struct bench *bench = *state;
    struct record record = make_record(1, VERDICT_NORMALIZED);
    record.transfer.evidence = EVIDENCE_BARE_LF | EVIDENCE_UNTERMINATED;
    recorder_add(bench->recorder, &record);
    assert_string_equal(bench->log.last,
                        "Q1: client=unknown[unknown] helo=<> mode=bdat chunks=2 declared=100 "
                        "received=102 drift=2 verdict=normalized action=accept "
                        "evidence=bare_lf,unterminated");
    assert_int_equal(bench->log.level, LOG_LEVEL_INFO);
    struct record lost = make_record(2, VERDICT_LOST);
    lost.answered = lost.transfer.has_received = false;
    lost.transfer.queue_id[0] = '\0';
    recorder_add(bench->recorder, &lost);
    assert_string_equal(bench->log.last,
                        "NOQUEUE: client=unknown[unknown] helo=<> mode=bdat chunks=2 declared=100 "
                        "received=unknown drift=unknown verdict=lost action=none");
    assert_int_equal(bench->log.level, LOG_LEVEL_WARNING);
}

/* Names that look like the end of their field and the begin of others. */
static void test_no_field_is_forged(void **state)
{
    struct bench *bench = *state;
    struct record record = make_record(1, VERDICT_TRUNCATED);
    strcpy(record.transfer.helo, "a>b verdict=match\taction=<accept> x");
    strcpy(record.transfer.client_name, "mx> verdict=match");
    recorder_add(bench->recorder, &record);
    assert_string_equal(
        bench->log.last,
        "Q1: client=mx??verdict=match[unknown] "
        "helo=<a?b?verdict=match?action=?accept??x> mode=bdat chunks=2 declared=100 "
        "received=102 drift=2 verdict=truncated action=accept");
    assert_string_equal(recorder_at(bench->recorder, 0)->transfer.helo,
                        "a>b verdict=match\taction=<accept> x");
    memset(record.transfer.helo, '>', sizeof(record.transfer.helo) - 1);
    memset(record.transfer.client_name, ' ', sizeof(record.transfer.client_name) - 1);
    recorder_add(bench->recorder, &record);
    assert_non_null(strstr(bench->log.last, "\?\?> mode=bdat"));
    assert_non_null(strstr(bench->log.last, "???[unknown] helo=<???"));
}

static void test_all_evidence_fits(void **state)
{
    struct bench *bench = *state;
    struct record record = make_record(1, VERDICT_MATCH);
    record.transfer.evidence = (1u << EVIDENCE_BITS) - 1;
    recorder_add(bench->recorder, &record);
    for (unsigned bit = 0; bit < EVIDENCE_BITS; bit++)
        if (strstr(bench->log.last, evidence_name(bit)) == NULL)
            fail_msg("%s is missing in \"%s\"", evidence_name(bit), bench->log.last);
}

static void test_counts(void **state)
{
    struct bench *bench = *state;
    const struct record_counts *counts = recorder_counts(bench->recorder);
    struct record record = make_record(1, VERDICT_TRUNCATED);
    record.action = ACTION_TEMPFAIL;
    recorder_add(bench->recorder, &record);
    record.transfer.mode = TRANSFER_DATA;
    recorder_add(bench->recorder, &record);
    recorder_count_unverified(bench->recorder);
    recorder_count_data(bench->recorder);
    assert_int_equal(counts->verdicts[VERDICT_TRUNCATED], 2);
    assert_int_equal(counts->verdicts[VERDICT_UNVERIFIED], 1);
    assert_int_equal(counts->actions[ACTION_TEMPFAIL], 2);
    assert_int_equal(counts->chunks, 2);
    assert_int_equal(counts->declared_octets, 100);
    assert_int_equal(counts->received_octets, 102);
    assert_int_equal(counts->data_transfers, 1);
}

static void test_ring_wraps(void **state)
{
    struct bench *bench = *state;
    const uint64_t all = 2 * RECORDER_RING_SIZE + 7;
    assert_null(recorder_at(bench->recorder, 0));
    for (uint64_t id = 1; id <= all; id++) {
        struct record record = make_record(id, VERDICT_MATCH);
        recorder_add(bench->recorder, &record);
        assert_int_equal(recorder_at(bench->recorder, 0)->transfer.id, id);
    }
    for (size_t i = 0; i < RECORDER_RING_SIZE; i++)
        assert_int_equal(recorder_at(bench->recorder, i)->transfer.id, all - i);
    assert_null(recorder_at(bench->recorder, RECORDER_RING_SIZE));
    assert_null(recorder_at(bench->recorder, SIZE_MAX));
}

static void test_overrun(void **state)
{
    struct bench *bench = *state;
    struct record first = make_record(1, VERDICT_MATCH), second = make_record(2, VERDICT_MATCH);
    recorder_add(bench->recorder, &first);
    recorder_add(bench->recorder, &second);
    struct transfer over = first.transfer;
    over.evidence = EVIDENCE_FOREIGN_INPUT;
    snprintf(over.followed_by, sizeof(over.followed_by), "rest of a line");
    const struct record *changed = recorder_add_overrun(bench->recorder, &over);
    assert_ptr_equal(changed, recorder_at(bench->recorder, 1));
    assert_int_equal(changed->verdict, VERDICT_OVERRUN);
    assert_string_equal(changed->transfer.followed_by, "rest of a line");
    assert_int_equal(bench->log.level, LOG_LEVEL_WARNING);
    assert_int_equal(recorder_at(bench->recorder, 0)->verdict, VERDICT_MATCH);
    assert_int_equal(recorder_counts(bench->recorder)->verdicts[VERDICT_OVERRUN], 1);
    over.pid = 78; /* the same ids of another process */
    assert_null(recorder_add_overrun(bench->recorder, &over));
}

struct listener {
    struct record_follower follower;
    struct recorder *recorder;
    unsigned told;
    bool leaves;
};

static void tell(struct record_follower *follower, const struct record *record)
{
    struct listener *listener = (struct listener *)(void *)follower;
    assert_int_equal(record->transfer.pid, 77);
    listener->told++;
    if (listener->leaves)
        recorder_unfollow(follower);
}

static void test_followers(void **state)
{
    struct bench *bench = *state;
    struct listener stays = {.follower.tell = tell},
                    leaves = {.follower.tell = tell, .leaves = true};
    struct record record = make_record(1, VERDICT_MATCH);
    recorder_follow(bench->recorder, &stays.follower);
    recorder_follow(bench->recorder, &leaves.follower);
    recorder_add(bench->recorder, &record);
    recorder_add(bench->recorder, &record);
    recorder_unfollow(&stays.follower);
    recorder_add(bench->recorder, &record);
    assert_int_equal(stays.told, 2);
    assert_int_equal(leaves.told, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_field_is_forged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_all_evidence_fits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ring_wraps, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_overrun, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_followers, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
