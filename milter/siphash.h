/*
 * SipHash-2-4 (Aumasson, Bernstein 2012) of 16 octets: a keyed hash, so that who chooses the
 * octets but does not know the key cannot make them collide.
 */
#ifndef BDAT_SIPHASH_H
#define BDAT_SIPHASH_H

#include <stdint.h>

struct siphash_key {
    uint64_t words[2];
};

/* The key of 16 secret octets. */
struct siphash_key siphash_key(const uint8_t octets[16]);

/* The hash of 16 octets. */
uint64_t siphash16(const struct siphash_key *key, const uint8_t octets[16]);

#endif
