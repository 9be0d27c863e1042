/* Rules: for each question the longest matching prefix, among equals the first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "milter/rules.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define UNSAID -1

/* One rule of a test: a network, and what it says of chunking and of the verdict swallowed. */
struct row {
    const char *network;
    int chunking;
    int action;
};

static struct address address_of(const char *text)
{
    struct address address;
    assert_true(address_parse(text, strlen(text), &address));
    return address;
}

static struct rule_match answers_of(const struct row *row)
{
    struct rule_match answers = {.has_chunking = row->chunking != UNSAID};

    if (answers.has_chunking)
        answers.chunking = (enum chunking)row->chunking;
    answers.has_action[VERDICT_SWALLOWED] = row->action != UNSAID;
    if (row->action != UNSAID)
        answers.actions[VERDICT_SWALLOWED] = (enum action)row->action;
    return answers;
}

static struct rules *rules_of(const struct row *rows, size_t count)
{
    struct rules *rules = rules_new();
    char error[200];

    assert_non_null(rules);
    for (size_t i = 0; i < count; i++) {
        struct rule_match answers = answers_of(&rows[i]);
        struct network network;
        assert_int_equal(network_parse(rows[i].network, &network, error, sizeof(error)), 0);
        assert_true(rules_add(rules, &network, &answers));
    }
    return rules;
}

static void expect(const struct rules *rules, const char *client, int chunking, int action)
{
    struct address address = address_of(client);
    struct rule_match match = rules_match(rules, &address);

    assert_int_equal(match.has_chunking, chunking != UNSAID);
    assert_int_equal(match.chunking, chunking != UNSAID ? chunking : CHUNKING_ADAPTIVE);
    assert_int_equal(match.has_action[VERDICT_SWALLOWED], action != UNSAID);
    if (action != UNSAID)
        assert_int_equal(match.actions[VERDICT_SWALLOWED], action);
    assert_false(match.has_action[VERDICT_MISMATCH]);
}

static void test_no_rules_say_nothing(void **state)
{
    struct rules *rules = rules_new();
    (void)state;
    expect(rules, "192.0.2.1", UNSAID, UNSAID);
    expect(NULL, "192.0.2.1", UNSAID, UNSAID);
    rules_free(&rules);
    assert_null(rules);
    rules_free(&rules);
}

static void test_each_question_has_its_longest_prefix(void **state)
{
    static const struct row rows[] = {
        {"0.0.0.0/0", CHUNKING_ALWAYS, UNSAID},    {"192.0.2.0/24", CHUNKING_NEVER, ACTION_REJECT},
        {"192.0.2.128/25", UNSAID, ACTION_HOLD},   {"192.0.2.200", CHUNKING_ADAPTIVE, UNSAID},
        {"2001:db8::/32", CHUNKING_NEVER, UNSAID}, {"2001:db8:1::/48", UNSAID, ACTION_ACCEPT},
    };
    struct rules *rules = rules_of(rows, COUNT(rows));
    (void)state;
    expect(rules, "203.0.113.1", CHUNKING_ALWAYS, UNSAID);
    expect(rules, "192.0.2.1", CHUNKING_NEVER, ACTION_REJECT);
    expect(rules, "192.0.2.129", CHUNKING_NEVER, ACTION_HOLD);
    expect(rules, "192.0.2.200", CHUNKING_ADAPTIVE, ACTION_HOLD);
    expect(rules, "2001:db8:2::1", CHUNKING_NEVER, UNSAID);
    expect(rules, "2001:db8:1::1", CHUNKING_NEVER, ACTION_ACCEPT);
    expect(rules, "2001:db9::1", UNSAID, UNSAID);
    rules_free(&rules);
}

static void test_among_equals_the_first_decides(void **state)
{
    static const struct row rows[] = {
        {"192.0.2.0/24", CHUNKING_NEVER, UNSAID},
        {"192.0.2.0/24", CHUNKING_ALWAYS, ACTION_TAG},
        {"192.0.2.0/24", CHUNKING_ADAPTIVE, ACTION_REJECT},
    };
    struct rules *rules = rules_of(rows, COUNT(rows));
    (void)state;
    expect(rules, "192.0.2.1", CHUNKING_NEVER, ACTION_TAG);
    rules_free(&rules);
}

/* The rule for one question by looking at all rules, slow and obvious. */
static int by_hand(const struct row *rows, const struct network *networks, size_t count,
                   const struct address *client, bool chunking)
{
    int best = UNSAID, best_prefix = -1;

    for (size_t i = 0; i < count; i++) {
        int says = chunking ? rows[i].chunking : rows[i].action;
        if (says == UNSAID || !network_contains(&networks[i], client) ||
            (int)networks[i].prefix <= best_prefix)
            continue;
        best = says;
        best_prefix = networks[i].prefix;
    }
    return best;
}

static void test_as_a_linear_scan_has_it(void **state)
{
    enum { RULES = 300, CLIENTS = 3000 };
    static struct row rows[RULES];
    static struct network networks[RULES];
    struct rules *rules = rules_new();
    (void)state;
    srand(4321);
    for (size_t i = 0; i < RULES; i++) {
        struct address address = {{0x20, 0x01, [2] = (uint8_t)(rand() & 3), [3] = (uint8_t)rand(),
                                   [15] = (uint8_t)(rand() & 1)}};
        networks[i] = network_around(&address, 32, (unsigned)rand() % 33);
        if (rand() % 10 == 0)
            networks[i] = network_around(&address, 32, 128);
        rows[i] = (struct row){NULL, rand() % 4 - 1, rand() % 6 - 1};
        struct rule_match answers = answers_of(&rows[i]);
        assert_true(rules_add(rules, &networks[i], &answers));
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        struct address client = {{0x20, 0x01, [2] = (uint8_t)(rand() & 3), [3] = (uint8_t)rand(),
                                  [15] = (uint8_t)(rand() & 1)}};
        char text[NETWORK_TEXT_SIZE];
        expect(rules, address_format(&client, text), by_hand(rows, networks, RULES, &client, true),
               by_hand(rows, networks, RULES, &client, false));
    }
    rules_free(&rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_rules_say_nothing),
        cmocka_unit_test(test_each_question_has_its_longest_prefix),
        cmocka_unit_test(test_among_equals_the_first_decides),
        cmocka_unit_test(test_as_a_linear_scan_has_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
