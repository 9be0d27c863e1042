/* Addresses and networks: every text that is accepted, refused or written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "milter/network.h"

static struct address parsed(const char *text)
{
    struct address address;

    if (!address_parse(text, strlen(text), &address))
        fail_msg("'%s' was not taken", text);
    return address;
}

static void test_addresses_are_written_canonically(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"192.0.2.1", "192.0.2.1"},
        {"0.0.0.0", "0.0.0.0"},
        {"255.255.255.255", "255.255.255.255"},
        {"::ffff:192.0.2.1", "192.0.2.1"},
        {"::FFFF:c000:0201", "192.0.2.1"},
        {"2001:db8::1", "2001:db8::1"},
        {"IPv6:2001:db8::1", "2001:db8::1"},
        {"ipv6:2001:DB8::A", "2001:db8::a"},
        {"::", "::"},
        {"::1", "::1"},
        {"1::", "1::"},
        {"0:0:0:0:0:0:0:1", "::1"},
        {"2001:0db8:0000:0000:0001:0000:0000:0001", "2001:db8::1:0:0:1"},
        {"2001:db8:0:0:0:1:0:0", "2001:db8::1:0:0"},
        {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
        {"0:1:1:1:1:1:1:0", "0:1:1:1:1:1:1:0"},
        {"1:1:1:1:1:1:0:0", "1:1:1:1:1:1::"},
        {"::1.2.3.4", "::102:304"},
        {"fe80:1:2:3:4:5:6:7", "fe80:1:2:3:4:5:6:7"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[NETWORK_TEXT_SIZE];
        struct address address = parsed(rows[i].text), again;

        assert_string_equal(address_format(&address, text), rows[i].want);
        again = parsed(text);
        assert_memory_equal(&again, &address, sizeof(address));
    }
}

static void test_what_is_no_address_is_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        " ",
        "192.0.2",
        "192.0.2.256",
        "192.0.2.1.1",
        "192.0.2.01",
        "1.2.3.4 ",
        " 1.2.3.4",
        "0x7f.0.0.1",
        "2001:db8",
        ":::",
        "2001:db8::1::2",
        "2001:db8::g",
        "[2001:db8::1]",
        "fe80::1%eth0",
        "IPv6:",
        "IPv6:192.0.2.1",
        "unknown",
        "unix:/run/socket",
        "1:2:3:4:5:6:7:8:9",
        "12345::",
        "1111:2222:3333:4444:5555:6666:255.255.255.2555555555555555555555555",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct address address = {.octets = {42}}, untouched = address;

        if (address_parse(rows[i], strlen(rows[i]), &address))
            fail_msg("'%s' was taken", rows[i]);
        assert_memory_equal(&address, &untouched, sizeof(address));
    }
    struct address address;
    assert_false(address_parse("192.0.2.1\0garbage", 17, &address));
    assert_false(address_parse("192.0.2.1\0", 10, &address));
}

static void test_only_the_given_length_is_read(void **state)
{
    (void)state;
    struct address address;
    char text[NETWORK_TEXT_SIZE];

    assert_true(address_parse("192.0.2.123 and more", 10, &address));
    assert_string_equal(address_format(&address, text), "192.0.2.12");
}

static void test_families_are_told_apart(void **state)
{
    (void)state;
    struct address four = parsed("192.0.2.1"), six = parsed("2001:db8::1");
    struct address compatible = parsed("::192.0.2.1");

    assert_true(address_is_ipv4(&four));
    assert_false(address_is_ipv4(&six));
    assert_false(address_is_ipv4(&compatible));
}

static void test_networks_are_parsed_strictly(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *want; /* NULL: an error */
        const char *error;
    } rows[] = {
        {"192.0.2.0/24", "192.0.2.0/24", NULL},
        {"192.0.2.7", "192.0.2.7", NULL},
        {"192.0.2.7/32", "192.0.2.7", NULL},
        {"0.0.0.0/0", "0.0.0.0/0", NULL},
        {"128.0.0.0/1", "128.0.0.0/1", NULL},
        {"192.0.2.254/31", "192.0.2.254/31", NULL},
        {"::ffff:0:0/96", "0.0.0.0/0", NULL},
        {"::ffff:192.0.2.0/120", "192.0.2.0/24", NULL},
        {"2001:db8::/32", "2001:db8::/32", NULL},
        {"2001:db8::1/128", "2001:db8::1", NULL},
        {"::/0", "::/0", NULL},
        {"::/80", "::/80", NULL},
        {"::ff00:0:0/88", "::ff00:0:0/88", NULL},
        {"IPv6:2001:DB8::/33", "2001:db8::/33", NULL},
        {"192.0.2.5/24", NULL, "192.0.2.5/24 has host bits set; 192.0.2.0/24 is meant"},
        {"192.0.2.1/31", NULL, "192.0.2.1/31 has host bits set; 192.0.2.0/31 is meant"},
        {"192.0.2.1/0", NULL, "192.0.2.1/0 has host bits set; 0.0.0.0/0 is meant"},
        {"2001:db8::1/64", NULL, "2001:db8::1/64 has host bits set; 2001:db8::/64 is meant"},
        {"2001:db8:8000::/32", NULL,
         "2001:db8:8000::/32 has host bits set; 2001:db8::/32 is meant"},
        {"192.0.2.0/33", NULL, "'192.0.2.0/33': the prefix length must be a number from 0 to 32"},
        {"2001:db8::/129", NULL,
         "'2001:db8::/129': the prefix length must be a number from 0 to 128"},
        {"192.0.2.0/", NULL, "'192.0.2.0/': the prefix length must be a number from 0 to 32"},
        {"192.0.2.0/024", NULL, "'192.0.2.0/024': the prefix length must be a number from 0 to 32"},
        {"192.0.2.0/+2", NULL, "'192.0.2.0/+2': the prefix length must be a number from 0 to 32"},
        {"192.0.2.0/24 ", NULL, "'192.0.2.0/24 ': the prefix length must be a number from 0 to 32"},
        {"192.0.2.0/4294967320", NULL,
         "'192.0.2.0/4294967320': the prefix length must be a number from 0 to 32"},
        {"192.0.2/24", NULL, "'192.0.2/24' is no IP address or network"},
        {"/24", NULL, "'/24' is no IP address or network"},
        {"", NULL, "'' is no IP address or network"},
        {"mail\033[2J", NULL, "'mail?[2J' is no IP address or network"},
        {"a name that is so long that nobody wants to read it again in an error message", NULL,
         "'a name that is so long that nobody wants to read it aga' is no IP address or network"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char error[200] = "none", text[NETWORK_TEXT_SIZE];
        struct network network, again;

        if (network_parse(rows[i].text, &network, error, sizeof(error)) == 0) {
            if (rows[i].want == NULL)
                fail_msg("'%s' was taken", rows[i].text);
            assert_string_equal(network_format(&network, text), rows[i].want);
            assert_int_equal(network_parse(text, &again, error, sizeof(error)), 0);
            assert_memory_equal(&again, &network, sizeof(network));
        } else {
            if (rows[i].want != NULL)
                fail_msg("'%s' was refused: %s", rows[i].text, error);
            assert_string_equal(error, rows[i].error);
        }
    }
}

/* An error text that is too long for its buffer is cut, not written beyond it. */
static void test_errors_keep_to_their_buffer(void **state)
{
    (void)state;
    struct network network;
    char error[16];

    memset(error, 'x', sizeof(error));
    assert_int_equal(network_parse("192.0.2.5/24", &network, error, 12), -1);
    assert_string_equal(error, "192.0.2.5/2");
    assert_int_equal(error[12], 'x');
}

static void test_networks_lie_around_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        unsigned four, six;
        const char *want;
    } rows[] = {
        {"192.0.2.77", 32, 64, "192.0.2.77"},
        {"192.0.2.77", 24, 64, "192.0.2.0/24"},
        {"192.0.2.77", 0, 64, "0.0.0.0/0"},
        {"192.0.2.77", 200, 64, "192.0.2.77"},
        {"2001:db8:1:2:3:4:5:6", 32, 64, "2001:db8:1:2::/64"},
        {"2001:db8:1:2:3:4:5:6", 32, 61, "2001:db8:1::/61"},
        {"2001:db8:1:2:3:4:5:6", 32, 128, "2001:db8:1:2:3:4:5:6"},
        {"2001:db8:1:2:3:4:5:6", 32, 0, "::/0"},
        {"2001:db8:1:2:3:4:5:6", 32, 500, "2001:db8:1:2:3:4:5:6"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[NETWORK_TEXT_SIZE];
        struct address address = parsed(rows[i].address);
        struct network network = network_around(&address, rows[i].four, rows[i].six);

        assert_string_equal(network_format(&network, text), rows[i].want);
        assert_true(network_contains(&network, &address));
    }
}

/* For each prefix length: flipping a bit within it leaves the network, behind it does not. */
static void test_containment_at_every_bit(void **state)
{
    (void)state;
    struct address address = parsed("2001:db8:5555:aaaa:1234:8765:fedc:ba98");

    for (unsigned prefix = 0; prefix <= 128; prefix++) {
        struct network network = network_around(&address, 32, prefix);

        assert_int_equal(network.prefix, prefix);
        for (unsigned bit = 0; bit < 128; bit++) {
            struct address other = address;

            other.octets[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
            assert_int_equal(network_contains(&network, &other), bit >= prefix);
        }
    }
}

static void test_all_of_ipv4_lies_within_the_ipv6_default(void **state)
{
    (void)state;
    struct address four = parsed("192.0.2.1"), six = parsed("2001:db8::1");
    struct network all, all_four;
    char error[100];

    assert_int_equal(network_parse("::/0", &all, error, sizeof(error)), 0);
    assert_int_equal(network_parse("0.0.0.0/0", &all_four, error, sizeof(error)), 0);
    assert_true(network_contains(&all, &four));
    assert_true(network_contains(&all_four, &four));
    assert_false(network_contains(&all_four, &six));
}

/* The longest texts that can arise fit. */
static void test_the_longest_text_fits(void **state)
{
    (void)state;
    struct network network = {.prefix = 127};
    char text[NETWORK_TEXT_SIZE];

    memset(network.address.octets, 0xff, sizeof(network.address.octets));
    network.address.octets[15] = 0xfe;
    assert_string_equal(network_format(&network, text),
                        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_are_written_canonically),
        cmocka_unit_test(test_what_is_no_address_is_refused),
        cmocka_unit_test(test_only_the_given_length_is_read),
        cmocka_unit_test(test_families_are_told_apart),
        cmocka_unit_test(test_networks_are_parsed_strictly),
        cmocka_unit_test(test_errors_keep_to_their_buffer),
        cmocka_unit_test(test_networks_lie_around_addresses),
        cmocka_unit_test(test_containment_at_every_bit),
        cmocka_unit_test(test_all_of_ipv4_lies_within_the_ipv6_default),
        cmocka_unit_test(test_the_longest_text_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
