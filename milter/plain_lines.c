#include "milter/plain_lines.h"

#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* Octets whose line ends are found at once, a bit for each. */
#define BLOCK ((size_t)64)

/* Blocks that are read before their line ends are looked at: 4 KB. */
#define BLOCKS ((size_t)64)

/* A line of PLAIN_LINE_MAX octets covers at least so many blocks wholly, wherever it begins. */
#define EMPTY_BLOCKS (PLAIN_LINE_MAX / BLOCK - 1)

/* Octets behind a line end that tell whether the next line is plain. */
#define BEGIN 2

/* ---- where the line ends are: the one part that knows the machine ---- */

typedef void find_line_ends_fn(const char *text, size_t blocks, uint64_t *ends);

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void find_line_ends_avx2(const char *text, size_t blocks,
                                                                uint64_t *ends)
{
    const __m256i newline = _mm256_set1_epi8('\n');
    for (size_t i = 0; i < blocks; i++, text += BLOCK) {
        __m256i low = _mm256_loadu_si256((const __m256i *)(const void *)text);
        __m256i high = _mm256_loadu_si256((const __m256i *)(const void *)(text + 32));
        uint32_t first = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(low, newline));
        uint32_t second = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(high, newline));
        ends[i] = first | (uint64_t)second << 32;
    }
}

static void find_line_ends(const char *text, size_t blocks, uint64_t *ends)
{
    const __m128i newline = _mm_set1_epi8('\n');
    for (size_t i = 0; i < blocks; i++, text += BLOCK) {
        ends[i] = 0;
        for (int part = 0; part < 4; part++) {
            __m128i octets = _mm_loadu_si128((const __m128i *)(const void *)(text + part * 16));
            uint64_t bits = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(octets, newline));
            ends[i] |= bits << part * 16;
        }
    }
}

static find_line_ends_fn *choose_find_line_ends(void)
{
    return __builtin_cpu_supports("avx2") ? find_line_ends_avx2 : find_line_ends;
}
#else
static void find_line_ends(const char *text, size_t blocks, uint64_t *ends)
{
    for (size_t i = 0; i < blocks; i++, text += BLOCK) {
        const char *end = text;
        ends[i] = 0;
        while ((end = memchr(end, '\n', BLOCK - (size_t)(end - text))) != NULL) {
            ends[i] |= (uint64_t)1 << (end - text);
            if (++end == text + BLOCK)
                break;
        }
    }
}

static find_line_ends_fn *choose_find_line_ends(void)
{
    return find_line_ends;
}
#endif

/* ---- which lines are plain ---- */

/* What makes a line worth a look: its first octet alone (1), or with its second octet (2). */
static const uint8_t first_octet[256] = {['.'] = 1, ['-'] = 1, ['B'] = 2, ['b'] = 2};
static const uint8_t second_octet[256] = {['D'] = 2, ['d'] = 2};

static inline bool is_plain_begin(const char *text)
{
    return (first_octet[(uint8_t)text[0]] & (second_octet[(uint8_t)text[1]] | 1)) == 0;
}

struct scan {
    size_t begin;   /* of the line that is not finished yet */
    uint64_t lines; /* plain lines before it */
    size_t empty;   /* blocks without a line end since */
};

/* Looks at the line ends of one block. False at a line that is not plain. */
static inline bool take_block(struct scan *scan, const char *text, size_t at, uint64_t ends)
{
    if (ends == 0)
        return ++scan->empty < EMPTY_BLOCKS;
    scan->empty = 0;
    for (; ends != 0; ends &= ends - 1) {
        scan->begin = at + (size_t)__builtin_ctzll(ends) + 1;
        scan->lines++;
        if (!is_plain_begin(text + scan->begin))
            return false;
    }
    return true;
}

struct plain_lines plain_lines_skip(const char *text, size_t length)
{
    struct scan scan = {0};
    uint64_t ends[BLOCKS];
    find_line_ends_fn *find = choose_find_line_ends();
    if (length < BLOCK + BEGIN)
        return (struct plain_lines){0, 0, length};
    if (!is_plain_begin(text))
        return (struct plain_lines){0, 0, 1};
    size_t at = 0;
    while (length - at >= BLOCK + BEGIN) {
        size_t blocks = (length - at - BEGIN) / BLOCK;
        blocks = blocks < BLOCKS ? blocks : BLOCKS;
        find(text + at, blocks, ends);
        for (size_t i = 0; i < blocks; i++, at += BLOCK)
            if (!take_block(&scan, text, at, ends[i]))
                return (struct plain_lines){scan.begin, scan.lines, scan.begin + 1};
    }
    return (struct plain_lines){scan.begin, scan.lines, length};
}
