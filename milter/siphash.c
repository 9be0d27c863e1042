#include "milter/siphash.h"

#include <stddef.h>

struct state {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

/* The word of eight octets, the least first, on any machine. */
static uint64_t word_of(const uint8_t *octets)
{
    uint64_t word = 0;

    for (size_t i = 8; i-- > 0;)
        word = word << 8 | octets[i];
    return word;
}

static void mix(struct state *s, unsigned rounds)
{
    while (rounds-- > 0) {
        s->v0 += s->v1;
        s->v1 = rotate(s->v1, 13) ^ s->v0;
        s->v0 = rotate(s->v0, 32);
        s->v2 += s->v3;
        s->v3 = rotate(s->v3, 16) ^ s->v2;
        s->v0 += s->v3;
        s->v3 = rotate(s->v3, 21) ^ s->v0;
        s->v2 += s->v1;
        s->v1 = rotate(s->v1, 17) ^ s->v2;
        s->v2 = rotate(s->v2, 32);
    }
}

static void absorb(struct state *s, uint64_t word)
{
    s->v3 ^= word;
    mix(s, 2);
    s->v0 ^= word;
}

struct siphash_key siphash_key(const uint8_t octets[16])
{
    return (struct siphash_key){{word_of(octets), word_of(octets + 8)}};
}

uint64_t siphash16(const struct siphash_key *key, const uint8_t octets[16])
{
    struct state s = {
        .v0 = key->words[0] ^ 0x736f6d6570736575U,
        .v1 = key->words[1] ^ 0x646f72616e646f6dU,
        .v2 = key->words[0] ^ 0x6c7967656e657261U,
        .v3 = key->words[1] ^ 0x7465646279746573U,
    };

    absorb(&s, word_of(octets));
    absorb(&s, word_of(octets + 8));
    absorb(&s, (uint64_t)16 << 56);
    s.v2 ^= 0xff;
    mix(&s, 4);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
