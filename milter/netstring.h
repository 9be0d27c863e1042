/*
 * Netstrings as Postfix's socketmap client speaks them (socketmap_table(5)): "LENGTH:octets,".
 *
 * Pure. The parser looks at a buffer that may hold a part of a netstring, one, or several.
 */
#ifndef BDAT_NETSTRING_H
#define BDAT_NETSTRING_H

#include <stddef.h>

/* The longest payload that is taken: what Postfix takes of a reply (dict_sockmap.c). */
#define NETSTRING_MAX 100000

/* Room for a netstring of `length` payload octets, at most. */
#define NETSTRING_SIZE(length) ((length) + 24)

enum netstring_result {
    NETSTRING_COMPLETE,   /* one netstring: payload and octets used are set */
    NETSTRING_INCOMPLETE, /* more octets are wanted */
    NETSTRING_TOO_LONG,   /* a length beyond NETSTRING_MAX */
    NETSTRING_BAD,        /* no netstring */
};

struct netstring {
    const char *payload; /* into the buffer */
    size_t length;
    size_t used;         /* octets of the buffer, with length, colon and comma */
};

enum netstring_result netstring_parse(const char *data, size_t length, struct netstring *found);

/* Writes "LENGTH:payload," to `target`, which has room for NETSTRING_SIZE(length); returns the
 * octets written. */
size_t netstring_write(char *target, const char *payload, size_t length);

#endif
