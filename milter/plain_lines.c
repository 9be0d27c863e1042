#include "milter/plain_lines.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* Octets between two decisions. A line of PLAIN_LINE_MAX octets covers at least one block
 * wholly, wherever it begins. */
#define BLOCK ((size_t)PLAIN_LINE_MAX / 2)

/* Octets that one step compares, and that blocks are aligned to. */
#define STEP ((size_t)64)
static_assert(BLOCK == 4 * STEP, "a block is four steps");

/* Octets behind a line end that tell whether the next line is plain. */
#define BEGIN 2

static bool is_plain_begin(const char *text)
{
    return text[0] != '.' && text[0] != '-' && (text[0] != 'B' || text[1] != 'D');
}

/* ---- quiet blocks: at least one line end in each, and behind none a line that is not plain ----
 */

/* What is known of a block. */
struct quiet {
    uint64_t special; /* bits of what is looked for right behind a line end, of all steps in one */
    uint64_t count;   /* line ends */
    uint64_t carry;   /* 1 if a line end stands before it */
};

/* Returns how many of the blocks, from the first on, are quiet, and adds their line ends to *lines.
 * *quiet tells of the block before the first, and then of the one that is not quiet; a B that
 * begins a line is special there, whatever its second letter. */
typedef size_t skip_quiet_fn(const char *text, size_t blocks, struct quiet *quiet, uint64_t *lines);

#if defined(__x86_64__)
/* By its low four bits: the octet that is looked for. Others never equal what stands here. */
#define LOOKED_FOR _mm_setr_epi8(1, 0, 'B', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '-', '.', 0)

/* A bit for each of STEP octets: line ends, and octets that are looked for. */
struct marks {
    uint64_t ends;
    uint64_t begins;
};

__attribute__((target("avx512bw"))) static inline struct marks mark_avx512(const char *text)
{
    const __m512i looked_for = _mm512_broadcast_i32x4(LOOKED_FOR);
    __m512i octets = _mm512_loadu_si512((const void *)text);
    return (struct marks){_mm512_cmpeq_epi8_mask(octets, _mm512_set1_epi8('\n')),
                          _mm512_cmpeq_epi8_mask(octets, _mm512_shuffle_epi8(looked_for, octets))};
}

__attribute__((target("avx2"))) static inline struct marks mark_avx2(const char *text)
{
    const __m256i looked_for = _mm256_broadcastsi128_si256(LOOKED_FOR);
    const __m256i newline = _mm256_set1_epi8('\n');
    struct marks marks = {0, 0};
    for (int half = 0; half < 2; half++) {
        __m256i octets = _mm256_loadu_si256((const __m256i *)(const void *)(text + half * 32));
        __m256i found = _mm256_cmpeq_epi8(octets, _mm256_shuffle_epi8(looked_for, octets));
        __m256i ends = _mm256_cmpeq_epi8(octets, newline);
        marks.ends |= (uint64_t)(uint32_t)_mm256_movemask_epi8(ends) << half * 32;
        marks.begins |= (uint64_t)(uint32_t)_mm256_movemask_epi8(found) << half * 32;
    }
    return marks;
}

__attribute__((always_inline)) static inline uint64_t take_step(struct quiet *quiet, uint64_t carry,
                                                                struct marks marks)
{
    /* Keeps the compiler from moving bits back to mask registers to compare under them. */
    __asm__("" : "+r"(marks.begins));
    quiet->special |= marks.begins & (marks.ends << 1 | carry);
    quiet->count += (uint64_t)__builtin_popcountll(marks.ends);
    return marks.ends >> 63;
}

/* The same loop for each kind of machine. */
#define DEFINE_SKIP_QUIET(name, machine, mark)                                                \
    __attribute__((target(machine))) static size_t name(const char *text, size_t blocks,      \
                                                        struct quiet *quiet, uint64_t *lines) \
    {                                                                                         \
        uint64_t carry = quiet->carry;                                                        \
        for (size_t i = 0; i < blocks; i++, text += BLOCK) {                                  \
            struct quiet block = {0, 0, carry};                                               \
            carry = take_step(&block, carry, mark(text));                                     \
            carry = take_step(&block, carry, mark(text + STEP));                              \
            carry = take_step(&block, carry, mark(text + 2 * STEP));                          \
            carry = take_step(&block, carry, mark(text + 3 * STEP));                          \
            if (block.special != 0 || block.count == 0) {                                     \
                *quiet = block;                                                               \
                return i;                                                                     \
            }                                                                                 \
            *lines += block.count;                                                            \
        }                                                                                     \
        return blocks;                                                                        \
    }

DEFINE_SKIP_QUIET(skip_quiet_avx512, "avx512bw,popcnt", mark_avx512)
DEFINE_SKIP_QUIET(skip_quiet_avx2, "avx2,popcnt", mark_avx2)
#endif

/* Where nothing better is known: every block is walked over. */
static size_t skip_none(const char *text, size_t blocks, struct quiet *quiet, uint64_t *lines)
{
    (void)text, (void)blocks, (void)quiet, (void)lines;
    return 0;
}

static skip_quiet_fn *choose_skip_quiet(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512bw"))
        return skip_quiet_avx512;
    if (__builtin_cpu_supports("avx2"))
        return skip_quiet_avx2;
#endif
    return skip_none;
}

/* True if a line that is not plain begins in the block. */
static bool has_special(const char *text, const struct quiet *quiet)
{
    for (uint64_t bits = quiet->special; bits != 0; bits &= bits - 1)
        for (size_t at = (size_t)__builtin_ctzll(bits); at < BLOCK; at += STEP)
            if ((at > 0 ? text[at - 1] == '\n' : quiet->carry != 0) && !is_plain_begin(text + at))
                return true;
    return false;
}

/* ---- line by line ---- */

struct scan {
    const char *text;
    size_t at;       /* all before is looked at */
    size_t begin;    /* of the line that goes on at `at` … */
    bool begin_lost; /* … unless it begins somewhere in the block before */
    uint64_t lines;
};

/* Goes on to offset `to`, line end by line end. False if a line begins there that is not plain:
 * the one at `begin`. */
static bool walk(struct scan *scan, size_t to)
{
    const char *end;
    while ((end = memchr(scan->text + scan->at, '\n', to - scan->at)) != NULL) {
        scan->at = scan->begin = (size_t)(end - scan->text) + 1;
        scan->begin_lost = false;
        scan->lines++;
        if (!is_plain_begin(scan->text + scan->begin))
            return false;
    }
    scan->at = to;
    return true;
}

/* Walks over one block. False also if no line ends in it: that line may be too long. */
static bool walk_block(struct scan *scan)
{
    uint64_t lines = scan->lines;
    if (!walk(scan, scan->at + BLOCK))
        return false;
    if (scan->lines > lines)
        return true;
    scan->at -= BLOCK;
    return false;
}

/* Goes over quiet blocks. False if what follows begins with a line that is not plain. */
static bool skip_quiet(struct scan *scan, size_t blocks, skip_quiet_fn *function)
{
    const char *text = scan->text;
    for (size_t done = 0; done < blocks; done++) {
        struct quiet quiet = {0, 0, scan->at > 0 && text[scan->at - 1] == '\n'};
        size_t skipped = function(text + scan->at, blocks - done, &quiet, &scan->lines);
        done += skipped;
        scan->at += skipped * BLOCK;
        scan->begin_lost = scan->begin_lost || skipped > 0;
        if (done == blocks || quiet.count == 0 || has_special(text + scan->at, &quiet))
            break;
        scan->lines += quiet.count; /* a B without a D: quiet for all that */
        scan->at += BLOCK;
        scan->begin_lost = true;
    }
    return !scan->begin_lost || text[scan->at - 1] != '\n' || is_plain_begin(text + scan->at);
}

/* The result: all before the line that goes on at `at` is plain. */
static struct plain_lines finish(struct scan *scan, size_t look)
{
    if (scan->begin_lost) {
        const char *end;
        scan->begin = scan->at - BLOCK;
        while ((end = memchr(scan->text + scan->begin, '\n', scan->at - scan->begin)) != NULL)
            scan->begin = (size_t)(end - scan->text) + 1;
    }
    return (struct plain_lines){scan->begin, scan->lines, look > 0 ? look : scan->begin + 1};
}

struct plain_lines plain_lines_skip(const char *text, size_t length)
{
    struct scan scan = {.text = text};
    skip_quiet_fn *function = choose_skip_quiet();
    size_t unaligned = (size_t)(-(uintptr_t)text % STEP);
    if (length < unaligned + BLOCK + BEGIN)
        return finish(&scan, length);
    if (!is_plain_begin(text) || !walk(&scan, unaligned))
        return finish(&scan, 0);
    for (;;) {
        size_t blocks = (length - BEGIN - scan.at) / BLOCK;
        if (blocks == 0)
            return finish(&scan, length);
        if (!skip_quiet(&scan, blocks, function))
            return finish(&scan, 0);
        if (length - BEGIN - scan.at >= BLOCK && !walk_block(&scan))
            return finish(&scan, 0);
    }
}
