#include "milter/network.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define MAPPED_BITS 96
#define ADDRESS_BITS 128
#define GROUPS 8

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
static const char ipv6_label[] = "IPv6:";

/* The octet of a netmask of `prefix` bits at that place. */
static uint8_t mask_octet(unsigned prefix, unsigned place)
{
    if (prefix >= place * 8 + 8)
        return 0xff;
    if (prefix <= place * 8)
        return 0;
    return (uint8_t)(0xff << (8 - (prefix - place * 8)));
}

static struct network network_of(const struct address *address, unsigned prefix)
{
    struct network network = {.prefix = (uint8_t)prefix};

    for (unsigned i = 0; i < sizeof(address->octets); i++)
        network.address.octets[i] = address->octets[i] & mask_octet(prefix, i);
    return network;
}

bool address_parse(const char *text, size_t length, struct address *address)
{
    char copy[INET6_ADDRSTRLEN];
    size_t label = sizeof(ipv6_label) - 1;
    struct address parsed;

    bool labelled = length > label && strncasecmp(text, ipv6_label, label) == 0;
    if (labelled) {
        text += label;
        length -= label;
    }
    if (length == 0 || length >= sizeof(copy) || memchr(text, '\0', length) != NULL)
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    if (!labelled && inet_pton(AF_INET, copy, parsed.octets + sizeof(mapped)) == 1)
        memcpy(parsed.octets, mapped, sizeof(mapped));
    else if (inet_pton(AF_INET6, copy, parsed.octets) != 1)
        return false;
    *address = parsed;
    return true;
}

bool address_is_ipv4(const struct address *address)
{
    return memcmp(address->octets, mapped, sizeof(mapped)) == 0;
}

/* Finds the first longest run of two or more zero groups (RFC 5952, section 4.2). */
static void find_zero_run(const unsigned groups[GROUPS], unsigned *start, unsigned *length)
{
    *start = GROUPS;
    *length = 1;
    for (unsigned i = 0; i < GROUPS; i++) {
        unsigned run = 0;

        while (i + run < GROUPS && groups[i + run] == 0)
            run++;
        if (run > *length) {
            *start = i;
            *length = run;
        }
    }
}

static void format_ipv6(const struct address *address, char text[NETWORK_TEXT_SIZE])
{
    unsigned groups[GROUPS], start, length;
    size_t used = 0;

    for (unsigned i = 0; i < GROUPS; i++)
        groups[i] = (unsigned)address->octets[2 * i] << 8 | address->octets[2 * i + 1];
    find_zero_run(groups, &start, &length);
    text[0] = '\0';
    for (unsigned i = 0; i < GROUPS; i++) {
        if (i == start) {
            used += (size_t)snprintf(text + used, NETWORK_TEXT_SIZE - used, "::");
            i += length - 1;
            continue;
        }
        bool colon = i > 0 && i != start + length;
        used += (size_t)snprintf(text + used, NETWORK_TEXT_SIZE - used, "%s%x", colon ? ":" : "",
                                 groups[i]);
    }
}

char *address_format(const struct address *address, char text[NETWORK_TEXT_SIZE])
{
    const uint8_t *octets = address->octets + sizeof(mapped);

    if (address_is_ipv4(address))
        snprintf(text, NETWORK_TEXT_SIZE, "%u.%u.%u.%u", octets[0], octets[1], octets[2],
                 octets[3]);
    else
        format_ipv6(address, text);
    return text;
}

struct network network_around(const struct address *address, unsigned ipv4_prefix,
                              unsigned ipv6_prefix)
{
    unsigned prefix = address_is_ipv4(address) ? MAPPED_BITS + ipv4_prefix : ipv6_prefix;

    return network_of(address, prefix < ADDRESS_BITS ? prefix : ADDRESS_BITS);
}

/* Reads a prefix length of one to three digits, without a leading zero. */
static bool parse_prefix(const char *text, unsigned most, unsigned *prefix)
{
    unsigned value = 0;

    if (text[0] == '\0' || strlen(text) > 3 || (text[0] == '0' && text[1] != '\0'))
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        value = value * 10 + (unsigned)(*text - '0');
    }
    *prefix = value;
    return value <= most;
}

/* Copies text for an error message, with what is not printable ASCII as '?'. */
static const char *shown(const char *text, char copy[NETWORK_TEXT_SIZE])
{
    size_t i = 0;

    for (; i < NETWORK_TEXT_SIZE - 1 && text[i] != '\0'; i++)
        copy[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
    copy[i] = '\0';
    return copy;
}

int network_parse(const char *text, struct network *network, char *error, size_t error_size)
{
    char copy[NETWORK_TEXT_SIZE], meant[NETWORK_TEXT_SIZE];
    size_t length = strcspn(text, "/");
    struct address address;
    unsigned prefix = ADDRESS_BITS;

    if (!address_parse(text, length, &address)) {
        snprintf(error, error_size, "'%s' is no IP address or network", shown(text, copy));
        return -1;
    }
    if (text[length] == '/') {
        bool dotted = memchr(text, ':', length) == NULL;
        unsigned most = dotted ? ADDRESS_BITS - MAPPED_BITS : ADDRESS_BITS;

        if (!parse_prefix(text + length + 1, most, &prefix)) {
            snprintf(error, error_size, "'%s': the prefix length must be a number from 0 to %u",
                     shown(text, copy), most);
            return -1;
        }
        prefix += dotted ? MAPPED_BITS : 0;
    }
    struct network parsed = network_of(&address, prefix);
    if (memcmp(&parsed.address, &address, sizeof(address)) != 0) {
        snprintf(error, error_size, "%s has host bits set; %s is meant", shown(text, copy),
                 network_format(&parsed, meant));
        return -1;
    }
    *network = parsed;
    return 0;
}

bool network_contains(const struct network *network, const struct address *address)
{
    for (unsigned i = 0; i < sizeof(address->octets); i++)
        if ((address->octets[i] & mask_octet(network->prefix, i)) != network->address.octets[i])
            return false;
    return true;
}

char *network_format(const struct network *network, char text[NETWORK_TEXT_SIZE])
{
    bool dotted = network->prefix >= MAPPED_BITS && address_is_ipv4(&network->address);
    unsigned prefix = network->prefix;
    size_t used;

    address_format(&network->address, text);
    if (prefix >= ADDRESS_BITS)
        return text;
    used = strlen(text);
    snprintf(text + used, NETWORK_TEXT_SIZE - used, "/%u", dotted ? prefix - MAPPED_BITS : prefix);
    return text;
}
