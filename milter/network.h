/*
 * Internet addresses and networks (CIDR), IPv4 and IPv6 alike.
 *
 * Addresses are kept as 16 octets in network order; an IPv4 address is its IPv4-mapped form
 * (::ffff:a.b.c.d), so that one tree and one hash hold both. Pure: no I/O, no allocation.
 */
#ifndef BDAT_NETWORK_H
#define BDAT_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for any text that this module writes, with its NUL: "[…]/128" never arises. */
#define NETWORK_TEXT_SIZE 56

struct address {
    uint8_t octets[16];
};

/* A network: the first `prefix` bits (0 to 128, counted in the mapped form) of `address`;
 * the bits behind them are zero. */
struct network {
    struct address address;
    uint8_t prefix;
};

/* Parses an address as Postfix writes it ("192.0.2.1", "2001:db8::1", also "IPv6:2001:db8::1").
 * The text need not end in NUL. False if it is no address. */
bool address_parse(const char *text, size_t length, struct address *address);

bool address_is_ipv4(const struct address *address);

/* Writes the address as text (canonical form of RFC 5952; IPv4 dotted) and returns `text`. */
char *address_format(const struct address *address, char text[NETWORK_TEXT_SIZE]);

/* The network of `ipv4_prefix` (0 to 32) or `ipv6_prefix` (0 to 128) bits around an address. */
struct network network_around(const struct address *address, unsigned ipv4_prefix,
                              unsigned ipv6_prefix);

/* Parses "192.0.2.0/24", "2001:db8::/32" or a single address, strictly: host bits that are
 * set are an error that names the intended network. Returns 0, or -1 with a text in `error`. */
int network_parse(const char *text, struct network *network, char *error, size_t error_size)
    __attribute__((warn_unused_result));

bool network_contains(const struct network *network, const struct address *address);

/* Writes the network as text, a single address without its prefix; returns `text`. */
char *network_format(const struct network *network, char text[NETWORK_TEXT_SIZE]);

#endif
