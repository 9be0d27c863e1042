/*
 * Netstrings: the parser says what a slow second implementation says, reads nothing beyond its
 * input, calls no prefix of a good one bad, and reads back what netstring_write() wrote.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "milter/netstring.h"
#include "tests/fuzz/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* "LENGTH:payload,": digits without a leading zero, one octet after the other. */
static enum netstring_result model(const char *data, size_t length, size_t *payload, size_t *used)
{
    char number[8] = "";
    size_t digits = 0;
    while (digits < length && strchr("0123456789", data[digits]) != NULL && data[digits] != '\0') {
        if (digits > 0 && number[0] == '0')
            return NETSTRING_BAD;
        if (digits == 6)
            return NETSTRING_TOO_LONG;
        number[digits] = data[digits];
        digits++;
        if (atol(number) > NETSTRING_MAX)
            return NETSTRING_TOO_LONG;
    }
    if (digits == length)
        return NETSTRING_INCOMPLETE;
    if (digits == 0 || data[digits] != ':')
        return NETSTRING_BAD;
    *payload = (size_t)atol(number);
    *used = digits + 1 + *payload + 1;
    if (*used > length)
        return NETSTRING_INCOMPLETE;
    return data[*used - 1] == ',' ? NETSTRING_COMPLETE : NETSTRING_BAD;
}

static enum netstring_result parse_copy(const uint8_t *data, size_t size)
{
    struct netstring found = {0};
    size_t payload = 0, used = 0;
    char *copy = malloc(size > 0 ? size : 1); /* its own block, so that reading beyond it shows */
    if (copy == NULL)
        abort();
    if (size > 0)
        memcpy(copy, data, size);
    enum netstring_result result = netstring_parse(copy, size, &found);
    require(result == model(copy, size, &payload, &used), "the parser agrees with the model");
    if (result == NETSTRING_COMPLETE) {
        char *wire = malloc(NETSTRING_SIZE(found.length));
        require(found.length == payload && found.used == used, "and in its lengths");
        require(wire != NULL && netstring_write(wire, found.payload, found.length) == used &&
                    memcmp(wire, copy, used) == 0,
                "what is written is what was read");
        free(wire);
    }
    free(copy);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum netstring_result whole = parse_copy(data, size);
    for (size_t length = 0; length < size && length < 64; length++) {
        enum netstring_result part = parse_copy(data, length);
        if (whole == NETSTRING_INCOMPLETE)
            require(part == NETSTRING_INCOMPLETE, "a prefix of an incomplete one is incomplete");
        if (part != NETSTRING_INCOMPLETE)
            require(part == whole, "what is known of a prefix holds for the whole");
    }
    return 0;
}
