#include "milter/units.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct unit {
    char suffix;
    char other_suffix; /* the same in the other case, where that is taken */
    int64_t factor;
};

/* Largest first, the unit itself last. */
static const struct unit time_units[] = {
    {'w', 'w', 604800}, {'d', 'd', 86400}, {'h', 'h', 3600}, {'m', 'm', 60}, {'s', 's', 1},
};
static const struct unit size_units[] = {
    {'G', 'g', INT64_C(1) << 30},
    {'M', 'm', INT64_C(1) << 20},
    {'K', 'k', INT64_C(1) << 10},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static enum units_error parse_digits(const char **text, int64_t *value)
{
    const char *p = *text;
    int64_t sum = 0;

    if (*p == '\0')
        return UNITS_EMPTY;
    if (*p == '-')
        return UNITS_NEGATIVE;
    if (!is_digit(*p))
        return UNITS_MALFORMED;
    for (; is_digit(*p); p++) {
        int digit = *p - '0';
        if (sum > (INT64_MAX - digit) / 10)
            return UNITS_OVERFLOW;
        sum = sum * 10 + digit;
    }
    *text = p;
    *value = sum;
    return UNITS_OK;
}

static enum units_error parse(const char *text, const struct unit *units, size_t count,
                              int64_t *result)
{
    int64_t value;
    enum units_error error = parse_digits(&text, &value);

    if (error != UNITS_OK)
        return error;
    if (*text == '\0') {
        *result = value;
        return UNITS_OK;
    }
    if (text[1] != '\0')
        return UNITS_MALFORMED;
    for (size_t i = 0; i < count; i++) {
        if (*text != units[i].suffix && *text != units[i].other_suffix)
            continue;
        if (value > INT64_MAX / units[i].factor)
            return UNITS_OVERFLOW;
        *result = value * units[i].factor;
        return UNITS_OK;
    }
    return UNITS_SUFFIX;
}

enum units_error units_parse_time(const char *text, int64_t *seconds)
{
    return parse(text, time_units, COUNT(time_units), seconds);
}

enum units_error units_parse_size(const char *text, uint64_t *octets)
{
    int64_t value;
    enum units_error error = parse(text, size_units, COUNT(size_units), &value);

    if (error == UNITS_OK)
        *octets = (uint64_t)value;
    return error;
}

static const char *complaint(enum units_error error, const char *malformed, const char *suffix)
{
    switch (error) {
    case UNITS_OK:
        return "is fine";
    case UNITS_EMPTY:
        return "is empty";
    case UNITS_NEGATIVE:
        return "is negative";
    case UNITS_MALFORMED:
        return malformed;
    case UNITS_SUFFIX:
        return suffix;
    case UNITS_OVERFLOW:
        return "is too large";
    }
    return "is not understood";
}

const char *units_time_complaint(enum units_error error)
{
    return complaint(error, "is no time such as 90s, 10m, 1h, 1d or 2w",
                     "has a suffix other than s, m, h, d or w");
}

const char *units_size_complaint(enum units_error error)
{
    return complaint(error, "is no size such as 1000, 64K, 10M or 1G",
                     "has a suffix other than K, M or G");
}

char *units_format_time(int64_t seconds, char text[UNITS_TEXT_SIZE])
{
    size_t i = 0;

    if (seconds == 0) {
        snprintf(text, UNITS_TEXT_SIZE, "0");
        return text;
    }
    while (seconds % time_units[i].factor != 0)
        i++;
    snprintf(text, UNITS_TEXT_SIZE, "%" PRId64 "%c", seconds / time_units[i].factor,
             time_units[i].suffix);
    return text;
}

char *units_format_size(uint64_t octets, char text[UNITS_TEXT_SIZE])
{
    for (size_t i = 0; i < COUNT(size_units); i++) {
        uint64_t factor = (uint64_t)size_units[i].factor;
        if (octets == 0 || octets % factor != 0)
            continue;
        snprintf(text, UNITS_TEXT_SIZE, "%" PRIu64 "%c", octets / factor, size_units[i].suffix);
        return text;
    }
    snprintf(text, UNITS_TEXT_SIZE, "%" PRIu64, octets);
    return text;
}
