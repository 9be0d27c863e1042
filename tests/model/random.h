/* Repeatable random numbers for property tests (xorshift64*). */
#ifndef BDAT_TEST_RANDOM_H
#define BDAT_TEST_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct random {
    uint64_t state; /* any but 0 */
};

/* A number below `limit`, which is above 0. */
static inline size_t random_below(struct random *random, size_t limit)
{
    random->state ^= random->state >> 12;
    random->state ^= random->state << 25;
    random->state ^= random->state >> 27;
    return (size_t)((random->state * 0x2545f4914f6cdd1dULL) >> 33) % limit;
}

#endif
