/* The log's ring: what goes in comes out, in order, against a plain list; it takes all it can. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "milter/log_ring.h"

enum { KEPT = 4096 };

/* A message as the list remembers it: the number from which it was made. */
struct made {
    unsigned number;
    size_t length;
    size_t fields;
};

static void make_text(const struct made *made, char *text)
{
    size_t at = (size_t)sprintf(text, "%u ", made->number);
    while (at < made->length)
        text[at++] = (char)('a' + made->number % 26);
    text[at] = '\0';
}

static bool put(struct log_ring *ring, const struct made *made)
{
    static const struct log_field fields[] = {
        {"BDAT_QUEUE_ID", "4XyZ"}, {"BDAT_CLIENT", ""}, {"BDAT_VERDICT", "match"}};
    char text[600];
    make_text(made, text);
    return log_ring_put(ring, (enum log_level)(made->number % LOG_LEVEL_COUNT),
                        (enum log_target)(made->number % LOG_TARGET_COUNT), text, fields,
                        made->fields);
}

static void check(struct log_ring *ring, const struct made *made)
{
    static const char *const fields[] = {"BDAT_QUEUE_ID=4XyZ",
                                         "BDAT_CLIENT=", "BDAT_VERDICT=match"};
    struct log_entry entry;
    char text[600];
    make_text(made, text);
    assert_true(log_ring_peek(ring, &entry));
    assert_string_equal(entry.text, text);
    assert_int_equal(entry.level, made->number % LOG_LEVEL_COUNT);
    assert_int_equal(entry.target, made->number % LOG_TARGET_COUNT);
    assert_int_equal(entry.count, made->fields + 1);
    assert_memory_equal(entry.fields[0], "MESSAGE=", 8);
    for (size_t i = 0; i < made->fields; i++)
        assert_string_equal(entry.fields[i + 1], fields[i]);
}

static void test_order_against_a_list(void **state)
{
    static struct made list[KEPT];
    static const size_t sizes[] = {64, 256, 1000, 4096, 65536};
    (void)state;
    srand(7);
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        struct log_ring *ring = log_ring_new(sizes[s]);
        unsigned first = 0, next = 0;
        size_t taken = 0;
        for (int step = 0; step < 50000; step++) {
            if (rand() % 100 < (step / 1000 % 2 ? 40 : 60) && next - first < KEPT) {
                struct made *made = &list[next % KEPT];
                *made = (struct made){next, (size_t)(rand() % 4 ? rand() % 40 : rand() % 500),
                                      (size_t)(rand() % 4)};
                if (put(ring, made)) {
                    next++;
                    taken++;
                }
            } else if (next > first) {
                check(ring, &list[first++ % KEPT]);
                log_ring_pop(ring);
            }
            assert_int_equal(log_ring_count(ring), next - first);
        }
        assert_true(taken > 1000);
        log_ring_free(&ring);
        assert_null(ring);
    }
}

/* An entry of 32 octets more than its strings at most: nothing is refused that would fit. */
static void test_room_is_used(void **state)
{
    enum { SIZE = 65536, TEXT = 100 };
    struct log_ring *ring = log_ring_new(SIZE);
    struct made made = {1, TEXT, 0};
    size_t count = 0;
    (void)state;
    while (put(ring, &made))
        count++;
    assert_true(count >= SIZE / (TEXT + 9 + 32));
    assert_true(log_ring_is_half_full(ring));
    for (size_t i = 0; i < 10 * count; i++) { /* one out, one in, all the way round */
        log_ring_pop(ring);
        assert_true(put(ring, &made));
        assert_false(put(ring, &made));
        check(ring, &made);
    }
    while (log_ring_count(ring) > 0)
        log_ring_pop(ring);
    assert_false(log_ring_is_half_full(ring));
    log_ring_free(&ring);
}

/* An empty ring takes one message of its whole size, wherever the last one ended. */
static void test_an_empty_ring_takes_one_of_any_size(void **state)
{
    struct log_ring *ring = log_ring_new(512);
    struct log_entry entry;
    char text[512];
    (void)state;
    for (size_t length = 0; length + sizeof("MESSAGE=") + 16 <= 512; length++) {
        memset(text, 'x', length);
        text[length] = '\0';
        assert_true(log_ring_put(ring, LOG_LEVEL_INFO, LOG_TARGET_STDERR, text, NULL, 0));
        assert_true(log_ring_peek(ring, &entry));
        assert_string_equal(entry.text, text);
        log_ring_pop(ring);
        assert_false(log_ring_peek(ring, &entry));
    }
    memset(text, 'x', 511);
    text[511] = '\0';
    assert_false(log_ring_put(ring, LOG_LEVEL_INFO, LOG_TARGET_STDERR, text, NULL, 0));
    log_ring_free(&ring);
    log_ring_free(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_against_a_list),
        cmocka_unit_test(test_room_is_used),
        cmocka_unit_test(test_an_empty_ring_takes_one_of_any_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
