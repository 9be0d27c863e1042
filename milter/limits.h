/*
 * The text that tells a client which configured limit it broke. Pure.
 */
#ifndef BDAT_LIMITS_H
#define BDAT_LIMITS_H

#include <stddef.h>

#include "milter/settings.h"
#include "milter/transfer.h"

/* Writes an SMTP reply that names the limit and the value: "552 5.3.4 BDAT chunk of 5000 octets exceeds the limit of
 * 1000". `broken` are the evidence bits of the limits, at least one. Returns `text`. */
char *limits_explain(const struct limits *limits, const struct transfer *transfer,
                     unsigned broken, char *text, size_t size);

#endif
