/*
 * Times and sizes as administrators write them: "90s", "1d", "64K".
 *
 * Times take the suffixes of postconf(5), s m h d w, and count seconds; sizes take K M G
 * (either case), powers of 1024, and count octets. No suffix means seconds, or octets. Digits
 * come first, nothing stands between or behind: no sign, no space, no fraction. Pure.
 */
#ifndef BDAT_UNITS_H
#define BDAT_UNITS_H

#include <stdint.h>

/* Room for any text that this module writes, with its NUL. */
#define UNITS_TEXT_SIZE 24

/* Why a text was not taken. */
enum units_error {
    UNITS_OK = 0,
    UNITS_EMPTY,     /* no digits at all */
    UNITS_NEGATIVE,  /* begins with a minus sign */
    UNITS_MALFORMED, /* no digit first, or octets behind the suffix */
    UNITS_SUFFIX,    /* digits, then a single letter that is no suffix of this kind */
    UNITS_OVERFLOW   /* beyond INT64_MAX */
};

/* Reads a time; *seconds is touched on success alone. */
enum units_error units_parse_time(const char *text, int64_t *seconds)
    __attribute__((warn_unused_result));

/* Reads a size, which is at most INT64_MAX octets; *octets is touched on success alone. */
enum units_error units_parse_size(const char *text, uint64_t *octets)
    __attribute__((warn_unused_result));

/* What an error of units_parse_time() or units_parse_size() means, for a person: "has a suffix
 * other than s, m, h, d or w". Static storage; goes behind the text that was refused. */
const char *units_time_complaint(enum units_error error);
const char *units_size_complaint(enum units_error error);

/* Writes the shortest exact form, with the largest unit that divides the value: 86400 is "1d",
 * 90 is "90s", 0 is "0". Times are not negative. Returns `text`. */
char *units_format_time(int64_t seconds, char text[UNITS_TEXT_SIZE]);

/* The same for octets: 65536 is "64K", 1000 is "1000". Returns `text`. */
char *units_format_size(uint64_t octets, char text[UNITS_TEXT_SIZE]);

#endif
