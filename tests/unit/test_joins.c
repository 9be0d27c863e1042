/* Joins: a message is found by its queue id, from many threads at once, and is gone when closed. */
#include "tests/unit/cmocka_all.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "milter/joins.h"

static const struct settings *load_settings(void)
{
    char error[SETTINGS_ERROR_SIZE];
    const struct settings *settings = settings_load(NULL, error, sizeof(error));
    assert_non_null(settings);
    return settings;
}

static void test_a_message(void **state)
{
    const struct settings *settings = load_settings(), *got = NULL;
    struct joins *joins = joins_new();
    const struct join_key key = {7, 3, 2, TRANSFER_BDAT};
    struct join_key found = {0};
    struct transfer ledger = {.id = 2, .declared = 100}, copy = {0};
    (void)state;
    assert_false(joins_begin(joins, "ABC", &found));
    assert_true(joins_open(joins, "ABC", &key, &ledger, settings));
    assert_true(joins_is_open(joins, "ABC"));
    assert_false(joins_milter_seen(joins, "ABC"));
    assert_true(joins_begin(joins, "ABC", &found));
    assert_true(joins_milter_seen(joins, "ABC"));
    assert_int_equal(found.pid, 7);
    assert_int_equal(found.generation, 3);
    assert_int_equal(found.transfer_id, 2);
    assert_int_equal(found.mode, TRANSFER_BDAT);
    assert_true(joins_fetch(joins, "ABC", &copy, &got));
    assert_int_equal(copy.declared, 100);
    assert_false(copy.has_received);
    settings_unref(&got);
    ledger.has_received = true;
    joins_complete(joins, "ABC", &ledger);
    assert_true(joins_fetch(joins, "ABC", &copy, &got));
    assert_true(copy.has_received);
    assert_ptr_equal(got, settings);
    settings_unref(&got);
    assert_true(joins_close(joins, "ABC"));
    assert_false(joins_close(joins, "ABC"));
    assert_false(joins_fetch(joins, "ABC", &copy, &got));
    joins_complete(joins, "ABC", &ledger);
    assert_false(joins_is_open(joins, "ABC"));
    joins_free(&joins);
    joins_free(&joins);
    settings_unref(&settings);
}

/* Postfix uses a queue id again: the newer message counts, and nothing of the older stays. */
static void test_queue_id_again(void **state)
{
    const struct settings *settings = load_settings();
    struct joins *joins = joins_new();
    const struct join_key older = {7, 1, 1, TRANSFER_BDAT}, newer = {8, 1, 1, TRANSFER_DATA};
    struct join_key found;
    struct transfer ledger = {0};
    (void)state;
    assert_true(joins_open(joins, "ABC", &older, &ledger, settings));
    assert_true(joins_begin(joins, "ABC", &found));
    assert_true(joins_open(joins, "ABC", &newer, &ledger, settings));
    assert_false(joins_milter_seen(joins, "ABC"));
    assert_true(joins_begin(joins, "ABC", &found));
    assert_int_equal(found.pid, 8);
    assert_true(joins_close(joins, "ABC"));
    assert_false(joins_is_open(joins, "ABC"));
    joins_free(&joins);
    settings_unref(&settings);
}

/* A queue id longer than there is room for: cut on all sides alike, or not joined at all. */
static void test_long_queue_id(void **state)
{
    const struct settings *settings = load_settings(), *got;
    struct joins *joins = joins_new();
    char longer[3 * TRANSFER_QUEUE_ID_SIZE];
    struct join_key key = {7, 1, 1, TRANSFER_BDAT};
    struct transfer ledger = {0};
    (void)state;
    memset(longer, 'A', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    assert_true(joins_open(joins, longer, &key, &ledger, settings));
    assert_false(joins_fetch(joins, "A", &ledger, &got));
    joins_free(&joins);
    settings_unref(&settings);
}

#define THREADS 4
#define ROUNDS 3000

struct crowd {
    struct joins *joins;
    const struct settings *settings;
    int number;
    bool sound;
};

/* One smtpd process: its own queue ids, and a glance at the neighbours'. */
static void *work(void *context)
{
    struct crowd *crowd = context;
    crowd->sound = true;
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        char own[TRANSFER_QUEUE_ID_SIZE], other[TRANSFER_QUEUE_ID_SIZE];
        const struct join_key key = {crowd->number, round, round, TRANSFER_BDAT};
        const struct settings *settings = NULL;
        struct transfer ledger = {.id = round, .declared = round}, copy;
        struct join_key found = {0};
        snprintf(own, sizeof(own), "%d-%llu", crowd->number, (unsigned long long)round % 64);
        snprintf(other, sizeof(other), "%d-%llu", (crowd->number + 1) % THREADS,
                 (unsigned long long)round % 64);
        crowd->sound &= joins_open(crowd->joins, own, &key, &ledger, crowd->settings);
        crowd->sound &= joins_begin(crowd->joins, own, &found) && found.generation == round;
        if (joins_fetch(crowd->joins, other, &copy, &settings)) {
            crowd->sound &= copy.id == copy.declared;
            settings_unref(&settings);
        }
        joins_complete(crowd->joins, own, &ledger);
        crowd->sound &= joins_fetch(crowd->joins, own, &copy, &settings) && copy.id == round;
        settings_unref(&settings);
        crowd->sound &= joins_close(crowd->joins, own);
    }
    return NULL;
}

static void test_threads(void **state)
{
    const struct settings *settings = load_settings();
    struct joins *joins = joins_new();
    struct crowd crowds[THREADS];
    pthread_t threads[THREADS];
    (void)state;
    for (int i = 0; i < THREADS; i++) {
        crowds[i] = (struct crowd){.joins = joins, .settings = settings, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &crowds[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_true(crowds[i].sound);
    }
    joins_free(&joins);
    settings_unref(&settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_message),
        cmocka_unit_test(test_queue_id_again),
        cmocka_unit_test(test_long_queue_id),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
