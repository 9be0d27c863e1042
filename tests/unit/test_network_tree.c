/* The tree against a linear scan: the same answers for networks and addresses of all kinds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "milter/network_tree.h"

#define MAX_NETWORKS 600

/* splitmix64: the same numbers on every machine. */
static uint64_t next_random(uint64_t *seed)
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15U;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return z ^ z >> 31;
}

static struct network net(const char *text)
{
    struct network network;
    char error[200];

    if (network_parse(text, &network, error, sizeof(error)) != 0)
        fail_msg("%s", error);
    return network;
}

static struct network_tree *tree_of(const char *const *texts, size_t count)
{
    struct network_tree *tree = network_tree_new();

    assert_non_null(tree);
    for (size_t i = 0; i < count; i++) {
        struct network network = net(texts[i]);
        assert_int_equal(network_tree_insert(tree, &network, i, NULL), NETWORK_TREE_INSERTED);
    }
    assert_int_equal(network_tree_count(tree), count);
    return tree;
}

struct visits {
    struct network_match matches[130];
    size_t count, limit;
};

static bool note_match(void *context, const struct network_match *match)
{
    struct visits *visits = context;

    assert_true(visits->count < 130);
    visits->matches[visits->count++] = *match;
    return visits->count < visits->limit;
}

static void test_an_empty_tree_finds_nothing(void **state)
{
    (void)state;
    struct network_tree *tree = network_tree_new();
    struct network_match match;
    struct network somebody = net("192.0.2.1");

    assert_false(network_tree_find(tree, &somebody.address, &match));
    assert_int_equal(network_tree_count(tree), 0);
    network_tree_free(&tree);
    assert_null(tree);
    network_tree_free(&tree);
}

static void test_the_longest_prefix_wins(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "192.0.2.0/24",  "192.0.2.128/25",  "192.0.2.129", "0.0.0.0/0",
        "2001:db8::/32", "2001:db8:1::/48", "::/0",        "198.51.100.0/24",
    };
    static const struct {
        const char *address;
        const char *want;
    } rows[] = {
        {"192.0.2.1", "192.0.2.0/24"},    {"192.0.2.128", "192.0.2.128/25"},
        {"192.0.2.129", "192.0.2.129"},   {"203.0.113.1", "0.0.0.0/0"},
        {"2001:db8::1", "2001:db8::/32"}, {"2001:db8:1::1", "2001:db8:1::/48"},
        {"2001:db9::1", "::/0"},          {"198.51.100.255", "198.51.100.0/24"},
    };
    struct network_tree *tree = tree_of(texts, sizeof(texts) / sizeof(texts[0]));

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct network_match match;
        struct network client = net(rows[i].address);
        char text[NETWORK_TEXT_SIZE];

        assert_true(network_tree_find(tree, &client.address, &match));
        assert_string_equal(network_format(&match.network, text), rows[i].want);
        assert_string_equal(texts[match.value], rows[i].want);
    }
    network_tree_free(&tree);
}

static void test_all_matches_from_longest_to_shortest(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "::/0", "0.0.0.0/0", "192.0.0.0/8", "192.0.2.0/24", "192.0.2.1", "192.0.2.2",
    };
    static const size_t want[] = {4, 3, 2, 1, 0};
    struct network_tree *tree = tree_of(texts, sizeof(texts) / sizeof(texts[0]));
    struct network client = net("192.0.2.1");
    struct visits visits = {.limit = 100};

    assert_int_equal(network_tree_visit(tree, &client.address, note_match, &visits), 5);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(visits.matches[i].value, want[i]);
    visits = (struct visits){.limit = 2};
    assert_int_equal(network_tree_visit(tree, &client.address, note_match, &visits), 2);
    assert_int_equal(visits.matches[1].value, 3);
    network_tree_free(&tree);
}

static void test_a_network_is_taken_once(void **state)
{
    (void)state;
    struct network_tree *tree = network_tree_new();
    struct network network = net("192.0.2.0/24"), fork = net("192.0.2.0/23");
    struct network beside = net("192.0.3.0/24");
    struct network_match match;
    size_t present = 99;

    assert_int_equal(network_tree_insert(tree, &network, 1, &present), NETWORK_TREE_INSERTED);
    assert_int_equal(present, 99);
    assert_int_equal(network_tree_insert(tree, &network, 2, &present), NETWORK_TREE_PRESENT);
    assert_int_equal(present, 1);
    assert_int_equal(network_tree_insert(tree, &network, 2, NULL), NETWORK_TREE_PRESENT);
    /* The fork above the two exists as a node, but not as a network until it is put in. */
    assert_int_equal(network_tree_insert(tree, &beside, 3, NULL), NETWORK_TREE_INSERTED);
    assert_int_equal(network_tree_insert(tree, &fork, 4, &present), NETWORK_TREE_INSERTED);
    assert_int_equal(network_tree_count(tree), 3);
    assert_true(network_tree_find(tree, &network.address, &match));
    assert_int_equal(match.value, 1);
    network_tree_free(&tree);
}

/* A chain of all 129 prefix lengths: the deepest tree there can be. */
static void test_every_prefix_length_at_once(void **state)
{
    (void)state;
    struct network deepest = net("2001:db8:5555:aaaa:1234:8765:fedc:ba98");
    struct network_tree *tree = network_tree_new();

    for (unsigned i = 0; i <= 128; i++) {
        unsigned prefix = i * 77 % 129;
        struct network network = network_around(&deepest.address, 32, prefix);
        assert_int_equal(network_tree_insert(tree, &network, prefix, NULL), NETWORK_TREE_INSERTED);
    }
    struct visits visits = {.limit = 1000};
    assert_int_equal(network_tree_visit(tree, &deepest.address, note_match, &visits), 129);
    for (unsigned i = 0; i <= 128; i++) {
        assert_int_equal(visits.matches[i].value, 128 - i);
        assert_int_equal(visits.matches[i].network.prefix, 128 - i);
    }
    network_tree_free(&tree);
}

/* A random address: few distinct octets, so that many networks nest and meet. */
static struct address random_address(uint64_t *seed)
{
    static const uint8_t octets[] = {0x00, 0x80, 0xff, 0x01};
    struct network four = net("192.0.0.0");
    struct address address = four.address;
    size_t first = next_random(seed) % 2 ? 12 : 0;

    for (size_t i = first; i < 16; i++) {
        uint64_t number = next_random(seed);
        address.octets[i] = number % 8 == 0 ? (uint8_t)(number >> 8) : octets[number >> 16 & 3];
    }
    return address;
}

struct scan {
    struct network networks[MAX_NETWORKS];
    size_t count;
};

/* The linear scan: all that contain the address, the longest first. */
static size_t scan_matches(const struct scan *scan, const struct address *address,
                           size_t matches[MAX_NETWORKS])
{
    size_t count = 0;

    for (int prefix = 128; prefix >= 0; prefix--)
        for (size_t i = 0; i < scan->count; i++)
            if (scan->networks[i].prefix == prefix && network_contains(&scan->networks[i], address))
                matches[count++] = i;
    return count;
}

static void compare_with_scan(const struct network_tree *tree, const struct scan *scan,
                              const struct address *address)
{
    size_t want[MAX_NETWORKS], count = scan_matches(scan, address, want);
    struct visits visits = {.limit = 1000};
    struct network_match match;

    assert_int_equal(network_tree_visit(tree, address, note_match, &visits), count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(visits.matches[i].value, want[i]);
        assert_memory_equal(&visits.matches[i].network, &scan->networks[want[i]],
                            sizeof(struct network));
    }
    assert_int_equal(network_tree_find(tree, address, &match), count > 0);
    if (count > 0)
        assert_int_equal(match.value, want[0]);
}

/* Fills tree and scan with the same random networks; those present twice are told. */
static void fill(struct network_tree *tree, struct scan *scan, size_t wanted, uint64_t *seed)
{
    for (size_t i = 0; i < wanted; i++) {
        struct address address = random_address(seed);
        unsigned prefix = (unsigned)(next_random(seed) % 129);
        struct network network = network_around(&address, prefix > 96 ? prefix - 96 : 0, prefix);
        size_t same = 0, present;

        while (same < scan->count && memcmp(&scan->networks[same], &network, sizeof(network)))
            same++;
        if (same < scan->count) {
            assert_int_equal(network_tree_insert(tree, &network, 0, &present),
                             NETWORK_TREE_PRESENT);
            assert_int_equal(present, same);
        } else {
            assert_int_equal(network_tree_insert(tree, &network, scan->count, NULL),
                             NETWORK_TREE_INSERTED);
            scan->networks[scan->count++] = network;
        }
    }
    assert_int_equal(network_tree_count(tree), scan->count);
}

static void test_random_trees_agree_with_a_linear_scan(void **state)
{
    (void)state;
    uint64_t seed = 20300;
    size_t matched = 0;

    for (unsigned round = 0; round < 150; round++) {
        struct network_tree *tree = network_tree_new();
        struct scan scan = {.count = 0};
        size_t matches[MAX_NETWORKS];

        fill(tree, &scan, next_random(&seed) % (round < 140 ? 40 : MAX_NETWORKS), &seed);
        for (unsigned i = 0; i < 60; i++) {
            struct address address = random_address(&seed);

            compare_with_scan(tree, &scan, &address);
            matched += scan_matches(&scan, &address, matches) > 1;
        }
        for (size_t i = 0; i < scan.count; i++)
            compare_with_scan(tree, &scan, &scan.networks[i].address);
        network_tree_free(&tree);
    }
    assert_true(matched > 500); /* the generator does make networks that nest */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_tree_finds_nothing),
        cmocka_unit_test(test_the_longest_prefix_wins),
        cmocka_unit_test(test_all_matches_from_longest_to_shortest),
        cmocka_unit_test(test_a_network_is_taken_once),
        cmocka_unit_test(test_every_prefix_length_at_once),
        cmocka_unit_test(test_random_trees_agree_with_a_linear_scan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
