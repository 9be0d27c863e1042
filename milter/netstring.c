#include "milter/netstring.h"

#include <stdio.h>
#include <string.h>

enum netstring_result netstring_parse(const char *data, size_t length, struct netstring *found)
{
    size_t value = 0;
    size_t at = 0;
    for (; at < length && data[at] >= '0' && data[at] <= '9'; at++) {
        if (at > 0 && data[0] == '0')
            return NETSTRING_BAD;
        value = value * 10 + (size_t)(data[at] - '0');
        if (value > NETSTRING_MAX)
            return NETSTRING_TOO_LONG;
    }
    if (at == length)
        return NETSTRING_INCOMPLETE;
    if (at == 0 || data[at] != ':')
        return NETSTRING_BAD;
    at++;
    if (length - at <= value)
        return NETSTRING_INCOMPLETE;
    if (data[at + value] != ',')
        return NETSTRING_BAD;
    *found = (struct netstring){data + at, value, at + value + 1};
    return NETSTRING_COMPLETE;
}

size_t netstring_write(char *target, const char *payload, size_t length)
{
    size_t at = (size_t)sprintf(target, "%zu:", length);
    memcpy(target + at, payload, length);
    at += length;
    target[at++] = ',';
    return at;
}
