#include "milter/plain_lines.h"

#include <stdbool.h>
#include <string.h>

/* Octets compared at once; compilers split them where the machine has narrower registers. */
#define LANES 32
typedef uint8_t lanes __attribute__((vector_size(LANES)));

/* Octets between two decisions. A line of PLAIN_LINE_MAX octets or more has at least one whole
 * block without a line end in it, wherever it begins. */
#define BLOCK ((size_t)PLAIN_LINE_MAX / 2)

/* Octets behind a block that are read with it: the two that begin the next line. */
#define BEYOND 2

/* Blocks whose line ends can be counted in one octet each lane: 31 * 8 < 256. */
#define BLOCKS_PER_SUM 31

static inline bool is_plain_begin(const char *text)
{
    return text[0] != '.' && text[0] != '-' && !((text[0] | 0x20) == 'b' && (text[1] | 0x20) == 'd');
}

static inline __attribute__((always_inline)) void load(lanes *vector, const char *text)
{
    memcpy(vector, text, LANES);
}

static inline __attribute__((always_inline)) bool any(const lanes *vector)
{
    uint64_t words[LANES / sizeof(uint64_t)];
    memcpy(words, vector, LANES);
    return (words[0] | words[1] | words[2] | words[3]) != 0;
}

static inline __attribute__((always_inline)) uint64_t sum(const lanes *vector)
{
    uint64_t total = 0;
    for (size_t i = 0; i < LANES; i++)
        total += (*vector)[i];
    return total;
}

/* Adds the line ends of one block to *counts, lane by lane. False, and nothing added, if there
 * are none or if one of them is followed by a line that does not begin plainly. */
static inline __attribute__((always_inline)) bool count_block(const char *text, lanes *counts)
{
    lanes found = {0}, special = {0};
    for (size_t at = 0; at < BLOCK; at += LANES) {
        lanes here, next, second;
        load(&here, text + at);
        load(&next, text + at + 1);
        load(&second, text + at + 2);
        lanes ends = (lanes)(here == '\n');
        lanes dashes = (lanes)(((next + 1) & 0xfe) == '.'); /* '-' and '.' are neighbours */
        lanes commands = (lanes)((next | 0x20) == 'b') & (lanes)((second | 0x20) == 'd');
        special |= ends & (dashes | commands);
        found -= ends; /* a lane that is true is -1 */
    }
    if (any(&special) || !any(&found))
        return false;
    *counts += found;
    return true;
}

/* Goes over plain blocks; returns where they end and adds their line ends to *lines. */
static inline __attribute__((always_inline)) size_t skip_blocks(const char *text, size_t length,
                                                                uint64_t *lines)
{
    lanes counts = {0};
    size_t at = 0;
    for (unsigned blocks = 1; length - at >= BLOCK + BEYOND; blocks++, at += BLOCK) {
        if (!count_block(text + at, &counts))
            break;
        if (blocks % BLOCKS_PER_SUM == 0) {
            *lines += sum(&counts);
            counts = (lanes){0};
        }
    }
    *lines += sum(&counts);
    return at;
}

#if defined(__x86_64__) || defined(__i386__)
__attribute__((target("avx2"))) static size_t skip_blocks_avx2(const char *text, size_t length,
                                                               uint64_t *lines)
{
    return skip_blocks(text, length, lines);
}
#endif

static size_t skip_blocks_anywhere(const char *text, size_t length, uint64_t *lines)
{
#if defined(__x86_64__) || defined(__i386__)
    if (__builtin_cpu_supports("avx2"))
        return skip_blocks_avx2(text, length, lines);
#endif
    return skip_blocks(text, length, lines);
}

/* The begin of the line that goes on at text[at], where the block before `at` has a line end. */
static size_t find_line_begin(const char *text, size_t at)
{
    size_t begin = at - BLOCK;
    const char *newline;
    while ((newline = memchr(text + begin, '\n', at - begin)) != NULL)
        begin = (size_t)(newline - text) + 1;
    return begin;
}

struct plain_lines plain_lines_skip(const char *text, size_t length)
{
    struct plain_lines result = {0, 0, 1};
    if (length < BLOCK + BEYOND) {
        result.look = length;
        return result;
    }
    if (!is_plain_begin(text))
        return result;
    size_t at = skip_blocks_anywhere(text, length, &result.lines);
    if (at > 0)
        result.skipped = find_line_begin(text, at);
    result.look = length - at < BLOCK + BEYOND ? length : at + BLOCK + 1;
    return result;
}
