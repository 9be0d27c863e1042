/* Patience: what comes again just as it was is let in after three tries, other messages are not. */
#include "tests/unit/cmocka_all.h"

#include <string.h>

#include "milter/patience.h"

#define NOON 1700000000

static uint64_t identify(const char *sender, uint64_t declared, const char *body)
{
    static struct content content;
    struct transfer transfer = {.declared = declared};
    strcpy(transfer.sender, sender);
    content_reset(&content);
    content_feed(&content, body, strlen(body));
    content_finish(&content);
    return patience_identify(&transfer, &content);
}

static void test_the_fourth_try(void **state)
{
    static struct patience patience = PATIENCE_INITIALIZER;
    uint64_t message = identify("a@b.example", 90, "--edge\r\n\r\ncut");
    (void)state;
    assert_false(patience_is_over(&patience, message, NOON));
    assert_false(patience_is_over(&patience, message, NOON + 300));
    assert_false(patience_is_over(&patience, message, NOON + 900));
    assert_true(patience_is_over(&patience, message, NOON + 1800));
    assert_true(patience_is_over(&patience, message, NOON + 3600));
}

/* A burst of messages alike is not one message that comes again. */
static void test_a_burst(void **state)
{
    static struct patience patience = PATIENCE_INITIALIZER;
    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_false(patience_is_over(&patience, 77, NOON + i % PATIENCE_SPACING));
    assert_false(patience_is_over(&patience, 77, NOON + PATIENCE_SPACING));
    assert_false(patience_is_over(&patience, 77, NOON + 2 * PATIENCE_SPACING));
    assert_false(patience_is_over(&patience, 77, NOON + 3 * PATIENCE_SPACING - 1));
    assert_true(patience_is_over(&patience, 77, NOON + 3 * PATIENCE_SPACING));
}

static void test_a_clock_set_back(void **state)
{
    static struct patience patience = PATIENCE_INITIALIZER;
    (void)state;
    for (int try = 0; try < PATIENCE_TRIES; try++)
        assert_false(patience_is_over(&patience, 77, NOON - 3600 * try));
    assert_true(patience_is_over(&patience, 77, NOON - 3600 * PATIENCE_TRIES));
}

/* Another message in the same place begins anew; so does the one it pushed out. */
static void test_pushed_out(void **state)
{
    static struct patience patience = PATIENCE_INITIALIZER;
    uint64_t other = 77 + PATIENCE_MESSAGES;
    (void)state;
    for (int try = 0; try < 10; try++) {
        assert_false(patience_is_over(&patience, 77, NOON + 600 * try));
        assert_false(patience_is_over(&patience, other, NOON + 600 * try));
    }
}

static void test_what_makes_a_message(void **state)
{
    uint64_t message = identify("a@b.example", 90, "text\r\ncut");
    (void)state;
    assert_true(identify("a@b.example", 90, "text\r\ncut") == message);
    assert_true(identify("c@b.example", 90, "text\r\ncut") != message);
    assert_true(identify("a@b.example", 91, "text\r\ncut") != message);
    assert_true(identify("a@b.example", 90, "text\r\ncuts") != message);
    assert_true(identify("a@b.example", 90, "text\r\ncup") != message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_fourth_try),   cmocka_unit_test(test_a_burst),
        cmocka_unit_test(test_a_clock_set_back), cmocka_unit_test(test_pushed_out),
        cmocka_unit_test(test_what_makes_a_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
