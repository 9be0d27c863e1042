/* The table of clients: its links, whom it forgets, its memory and its times with a million. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "config.h"
#include "milter/client_table.h"
#include "milter/suppression.h"

#ifdef SANITIZER
#define SANITIZERS SANITIZER
#else
#define SANITIZERS "" /* memory and times count only without */
#endif
#define MILLION 1000000
#define NOW INT64_C(1800000000)

static const uint8_t seed[16] = "sixteen octets.";

static void test_siphash_gives_the_published_value(void **state)
{
    (void)state;
    uint8_t octets[16];

    for (uint8_t i = 0; i < 16; i++)
        octets[i] = i;
    struct siphash_key key = siphash_key(octets);
    assert_true(siphash16(&key, octets) == 0x3f2acc7f57c29bdb);
}

/* The n-th client of a neighbourhood: IPv6 2001:db8:HHHH::/48 and so on, distinct in each. */
static struct network client_number(uint32_t neighbourhood, uint32_t number)
{
    struct network network = {.prefix = 64};
    uint8_t *octets = network.address.octets;

    octets[0] = 0x20;
    octets[1] = (uint8_t)(neighbourhood >> 16);
    octets[2] = (uint8_t)(neighbourhood >> 8);
    octets[3] = (uint8_t)neighbourhood;
    for (unsigned i = 0; i < 4; i++)
        octets[4 + i] = (uint8_t)(number >> (24 - 8 * i));
    return network;
}

static struct client_table *table_of(size_t max_clients)
{
    struct siphash_key key = siphash_key(seed);
    struct client_table *table = client_table_new(&key, max_clients);

    assert_non_null(table);
    return table;
}

static uint32_t next_random(uint64_t *random)
{
    *random = *random * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(*random >> 33);
}

/* Random adds, uses, settles and removals against a plain array of flags. */
static void test_random_steps_keep_the_table_sane(void **state)
{
    (void)state;
    enum { CLIENTS = 6000, STEPS = 120000 };
    static bool present[CLIENTS];
    struct client_table *table = table_of(MILLION);
    uint64_t random = 7;
    size_t count = 0;

    for (int step = 0; step < STEPS; step++) {
        uint32_t number = next_random(&random) % CLIENTS;
        enum standing standing = (enum standing)(next_random(&random) % STANDING_COUNT);
        struct network network = client_number(number % 7, number);
        struct client *client = client_table_find(table, &network);

        assert_int_equal(client != NULL, present[number]);
        if (client == NULL) {
            client = client_table_add(table, &network, standing);
            assert_non_null(client);
            present[number] = true;
            count++;
        } else if (next_random(&random) % 4 == 0) {
            client_table_set_reason(table, client, "a reason");
            client_table_remove(table, client);
            present[number] = false;
            count--;
        } else if (next_random(&random) % 2 == 0) {
            client_table_use(table, client, standing);
        } else {
            client_table_settle(table, client, standing);
        }
        assert_int_equal(table->count, count);
        if (step % 10000 == 0)
            assert_true(client_table_sane(table));
    }
    assert_true(client_table_sane(table));
    assert_true(table->buckets > 1024); /* it did grow */
    client_table_free(&table);
}

static void test_a_full_table_stays_sane(void **state)
{
    (void)state;
    struct client_table *table = table_of(500);
    uint64_t random = 8;

    for (uint32_t i = 0; i < 20000; i++) {
        enum standing standing = (enum standing)(next_random(&random) % STANDING_COUNT);
        struct network network = client_number(next_random(&random) % 20, i);
        struct client *client = client_table_add(table, &network, standing);

        assert_true(client != NULL || standing == STANDING_PLAIN);
        assert_true(table->count <= 500);
        if (i % 1000 == 0)
            assert_true(client_table_sane(table));
    }
    assert_int_equal(table->count, 500);
    assert_true(table->used <= 500);
    client_table_free(&table);
}

static bool is_there(const struct client_table *table, uint32_t neighbourhood, uint32_t number)
{
    struct network network = client_number(neighbourhood, number);

    return client_table_find(table, &network) != NULL;
}

static void add(struct client_table *table, uint32_t neighbourhood, uint32_t number,
                enum standing standing)
{
    struct network network = client_number(neighbourhood, number);

    (void)client_table_add(table, &network, standing);
}

static void test_the_plain_go_first(void **state)
{
    (void)state;
    struct client_table *table = table_of(100);

    for (uint32_t i = 0; i < 50; i++)
        add(table, i, i, STANDING_STRUCK);
    for (uint32_t i = 50; i < 100; i++)
        add(table, i, i, STANDING_PLAIN);
    for (uint32_t i = 100; i < 140; i++)
        add(table, i, i, STANDING_PLAIN);
    for (uint32_t i = 0; i < 140; i++)
        assert_int_equal(is_there(table, i, i), i < 50 || i >= 90);
    client_table_free(&table);
}

static void test_the_oldest_of_all_standings_goes(void **state)
{
    (void)state;
    struct client_table *table = table_of(STANDING_COUNT - 1);
    struct network first = client_number(1, STANDING_NEEDS);

    for (uint32_t i = STANDING_NEEDS; i < STANDING_COUNT; i++)
        add(table, i, i, (enum standing)i);
    client_table_use(table, client_table_find(table, &first), STANDING_NEEDS);
    table->uses = UINT32_MAX - 2; /* the counter wraps, the order must not */
    for (uint32_t i = STANDING_NEEDS; i < STANDING_COUNT; i++)
        client_table_at(table, i - 1)->use = table->uses - (STANDING_COUNT - i);
    client_table_at(table, 0)->use = table->uses;
    for (uint32_t i = 0; i < 4; i++)
        add(table, 100 + i, i, STANDING_STRUCK);
    for (uint32_t i = STANDING_NEEDS; i < STANDING_COUNT; i++)
        assert_int_equal(is_there(table, i, i), i == STANDING_NEEDS);
    client_table_free(&table);
}

/* A flood of fresh clients of one IPv6 /32, all of them struck, pushes out nobody else. */
static void test_a_flood_drowns_only_its_own(void **state)
{
    (void)state;
    enum { ROOM = 10000, OTHERS = 5000 };
    struct client_table *table = table_of(ROOM);
    size_t lost = 0;

    for (uint32_t i = 0; i < OTHERS; i++)
        add(table, i, 1, i % 2 ? STANDING_SUPPRESSED : STANDING_STRUCK);
    for (uint32_t i = 0; i < 10 * ROOM; i++)
        add(table, 0xabcdef, i, i % 2 ? STANDING_SUPPRESSED : STANDING_STRUCK);
    for (uint32_t i = 0; i < OTHERS; i++)
        lost += !is_there(table, i, 1);
    /* Those who share the flood's place by hash, one of 4096 neighbourhoods, may go. */
    assert_true(lost <= OTHERS / 1000);
    assert_true(is_there(table, 0xabcdef, 10 * ROOM - 1));
    assert_int_equal(table->count, ROOM);
    client_table_free(&table);
}

/* A flood of fresh clients that are plain pushes out none that is held. */
static void test_a_plain_flood_pushes_out_none_that_is_held(void **state)
{
    (void)state;
    struct client_table *table = table_of(1000);

    for (uint32_t i = 0; i < 1000; i++)
        add(table, i, i, STANDING_SUPPRESSED);
    for (uint32_t i = 0; i < 5000; i++)
        add(table, i, 77777, STANDING_PLAIN);
    for (uint32_t i = 0; i < 1000; i++)
        assert_true(is_there(table, i, i));
    client_table_free(&table);
}

/* Addresses chosen to collide without the key do not: the longest chain stays short. */
static void test_chosen_addresses_do_not_collide(void **state)
{
    (void)state;
    struct client_table *table = table_of(MILLION);
    size_t longest = 0;

    for (uint32_t i = 0; i < 100000; i++)
        add(table, 5, i << 12, STANDING_STRUCK);
    for (uint32_t bucket = 0; bucket < table->buckets; bucket++) {
        uint32_t place = table->segments[bucket / 1024][bucket % 1024];
        size_t length = 0;

        for (; place != CLIENT_NONE; length++)
            place = client_table_at(table, place)->bucket_next;
        longest = length > longest ? length : longest;
    }
    assert_true(longest < 20);
    client_table_free(&table);
}

/* A million. */

/* This thread's own time, so that what else the machine does counts for nothing. */
static double seconds_now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* Resident memory of this process, in octets. */
static size_t resident_octets(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long size = 0, resident = 0;

    if (file == NULL || fscanf(file, "%lu %lu", &size, &resident) != 2)
        resident = 0;
    if (file != NULL)
        fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static double slowest_call; /* of record_bdat, while a million were taken in */

static void suppress_many(struct suppression *suppression, uint32_t count)
{
    slowest_call = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct network client = client_number(i % 5000, i);
        double before = seconds_now();

        suppression_record_bdat(suppression, &client.address, VERDICT_STALLED, 0, true, NOW, NULL);
        double took = seconds_now() - before;
        slowest_call = took > slowest_call ? took : slowest_call;
    }
    assert_int_equal(suppression_counts(suppression).states[CLIENT_SUPPRESSED], count);
}

/* Nanoseconds of an ehlo lookup, half of them for clients that are there. */
static double lookup_nanoseconds(struct suppression *suppression, uint32_t count)
{
    enum { LOOKUPS = 400000 };
    uint64_t random = 5;
    unsigned withheld = 0;
    double before = seconds_now();

    for (int i = 0; i < LOOKUPS; i++) {
        uint32_t number = next_random(&random) % count + (i % 2 ? 0 : count);
        struct network client = client_number(number % 5000, number);
        withheld +=
            suppression_decide_offer(suppression, &client.address, NOW, NULL) == WITHHOLD_CHUNKING;
    }
    double took = seconds_now() - before;
    assert_int_equal(withheld, LOOKUPS / 2);
    return took / LOOKUPS * 1e9;
}

static bool count_client(void *context, const struct client_record *record)
{
    (void)context;
    (void)record;
    return true;
}

static void test_a_million_suppressed_clients(void **state)
{
    (void)state;
    static const uint32_t counts[] = {1, 10000, MILLION};
    double nanoseconds[3];
    size_t before = resident_octets();
    struct suppression *suppression = NULL;

    for (size_t i = 0; i < 3; i++) {
        suppression_free(&suppression);
        suppression = suppression_new(seed);
        suppress_many(suppression, counts[i]);
        nanoseconds[i] = lookup_nanoseconds(suppression, counts[i]);
        print_message("lookup with %u clients: %.0f ns\n", counts[i], nanoseconds[i]);
    }
    size_t octets = suppression_counts(suppression).octets, resident = resident_octets() - before;
    print_message("a suppressed client: %.1f octets, resident %.1f; slowest call %.3f ms\n",
                  (double)octets / MILLION, (double)resident / MILLION, slowest_call * 1e3);
    assert_true(octets <= (size_t)SUPPRESSION_CLIENT_OCTETS * MILLION);
    if (strcmp(SANITIZERS, "") == 0)
        assert_true(resident <= (size_t)SUPPRESSION_CLIENT_OCTETS * MILLION);

    /* Full: each further one sends one away, and still at once. */
    double started = seconds_now();
    for (uint32_t i = 0; i < 20000; i++) {
        struct network client = client_number(1, 0x80000000 + i);
        suppression_record_bdat(suppression, &client.address, VERDICT_STALLED, 0, true, NOW, NULL);
    }
    double each = (seconds_now() - started) / 20000;
    print_message("taking in one more when full: %.1f us\n", each * 1e6);
    assert_int_equal(suppression_counts(suppression).clients, MILLION);
    assert_int_equal(suppression_counts(suppression).evicted, 20000);
    /* A thousandfold margin over what was measured, so that a loaded machine cannot fail it,
     * but a walk over a million can. */
    assert_true(each < 1e-3);
    assert_true(nanoseconds[2] < 100e3);

    /* A listing that finds nothing looks at no more than it may. */
    struct network nowhere = client_number(0x123456, 0);
    const struct client_filter filter = {.within = &nowhere, .limit = 10};
    started = seconds_now();
    assert_int_equal(suppression_list(suppression, &filter, NOW, count_client, NULL), 0);
    print_message("a listing in vain: %.1f ms\n", (seconds_now() - started) * 1e3);

    /* Sweeping all of them, as the timer does in pieces. */
    struct suppression_change change;
    size_t budget = MILLION;
    started = seconds_now();
    assert_false(suppression_sweep(suppression, &budget, NOW, &change));
    print_message("sweeping a million: %.1f ms\n", (seconds_now() - started) * 1e3);
    suppression_free(&suppression);
}

/* No single call may hold the loop up. A virtual machine's time may still jump in any call, so
 * the best of five runs counts; a stall of the table's own would show in each. */
static void test_no_call_stalls(void **state)
{
    (void)state;
    double best = 1;

    for (int run = 0; run < 5 && best >= 0.005; run++) {
        struct suppression *suppression = suppression_new(seed);

        suppress_many(suppression, MILLION / 2);
        best = slowest_call < best ? slowest_call : best;
        suppression_free(&suppression);
    }
    print_message("slowest of 500000 calls: %.3f ms\n", best * 1e3);
    if (strcmp(SANITIZERS, "") == 0)
        assert_true(best < 0.005);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_siphash_gives_the_published_value),
        cmocka_unit_test(test_random_steps_keep_the_table_sane),
        cmocka_unit_test(test_a_full_table_stays_sane),
        cmocka_unit_test(test_the_plain_go_first),
        cmocka_unit_test(test_the_oldest_of_all_standings_goes),
        cmocka_unit_test(test_a_flood_drowns_only_its_own),
        cmocka_unit_test(test_a_plain_flood_pushes_out_none_that_is_held),
        cmocka_unit_test(test_chosen_addresses_do_not_collide),
        cmocka_unit_test(test_a_million_suppressed_clients),
        cmocka_unit_test(test_no_call_stalls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
