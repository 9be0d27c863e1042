/*
 * How fast milter/content.c reads a body, against one memchr() over the same buffer in the same
 * pieces: the bar is half of memchr's speed. Both run by turns, so that the machine's drift
 * cancels out; the median of the rounds counts.
 *
 *   bench/bench_content [MEGABYTES_PER_ROUND]
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "milter/content.h"

#define ROUNDS 41
#define PIECE ((size_t)65536)
#define LONG_LINE ((size_t)10 * 1024 * 1024)

struct body {
    const char *name;
    size_t length;
    void (*fill)(char *text, size_t length);
};

static uint64_t seed = 20260817;

static unsigned pick(unsigned limit)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % limit;
}

/* Lines of 76 octets and CRLF, out of `alphabet`. */
static void fill_lines(char *text, size_t length, const char *alphabet)
{
    size_t letters = strlen(alphabet);
    for (size_t i = 0; i < length; i++)
        text[i] = i % 78 == 76 ? '\r' : i % 78 == 77 ? '\n' : alphabet[pick((unsigned)letters)];
}

static void fill_plain(char *text, size_t length)
{
    fill_lines(text, length, "x");
}

static void fill_base64(char *text, size_t length)
{
    fill_lines(text, length, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
}

/* Lines of 0 to 76 octets, with dots and dashes and all. */
static void fill_prose(char *text, size_t length)
{
    size_t left = 0;
    for (size_t i = 0; i < length; i++) {
        text[i] = "etaoin shrdlu,.-bdfgk"[pick(21)];
        if (left-- == 0) {
            text[i] = '\n';
            left = pick(77);
        }
    }
}

static void fill_one_line(char *text, size_t length)
{
    memset(text, 'x', length);
}

static const struct body bodies[] = {
    {"76-octet lines, 64 KB pieces", PIECE, fill_plain},
    {"base64, 64 KB pieces", PIECE, fill_base64},
    {"prose, short lines", PIECE, fill_prose},
    {"one line of 10 MB", LONG_LINE, fill_one_line},
};

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now); /* others may be at work beside us */
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Goes over the text in pieces; what is found is summed so that nothing is optimised away. */
static uint64_t scan_once(const char *text, size_t length)
{
    static struct content content;
    content_reset(&content);
    for (size_t at = 0; at < length; at += PIECE)
        content_feed(&content, text + at, PIECE);
    content_finish(&content);
    return content.lines + content.dot_lines;
}

static uint64_t memchr_once(const char *text, size_t length)
{
    uint64_t found = 0;
    for (size_t at = 0; at < length; at += PIECE)
        found += memchr(text + at, '\0', PIECE) != NULL;
    return found;
}

static double measure(uint64_t (*once)(const char *, size_t), const char *text, size_t length,
                      size_t octets)
{
    static volatile uint64_t kept;
    size_t times = octets / length + 1;
    int64_t begin = now_ns();
    for (size_t i = 0; i < times; i++)
        kept += once(text, length);
    return (double)(times * length) / (double)(now_ns() - begin);
}

static int compare(const void *a, const void *b)
{
    double difference = *(const double *)a - *(const double *)b;
    return (difference > 0) - (difference < 0);
}

static double median(double *values)
{
    qsort(values, ROUNDS, sizeof(*values), compare);
    return values[ROUNDS / 2];
}

int main(int argc, char **argv)
{
    size_t megabytes = argc > 1 ? strtoul(argv[1], NULL, 10) : 64;
    char *text = malloc(LONG_LINE);
    if (text == NULL || megabytes == 0) {
        fprintf(stderr, "usage: bench_content [MEGABYTES_PER_ROUND]\n");
        return 2;
    }
    printf("%-32s %12s %12s %8s\n", "body", "content GB/s", "memchr GB/s", "ratio");
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        const struct body *body = &bodies[i];
        double scans[ROUNDS], searches[ROUNDS], ratios[ROUNDS];
        body->fill(text, body->length);
        for (size_t round = 0; round < ROUNDS; round++) {
            scans[round] = measure(scan_once, text, body->length, megabytes << 20);
            searches[round] = measure(memchr_once, text, body->length, megabytes << 20);
            ratios[round] = scans[round] / searches[round];
        }
        printf("%-32s %12.2f %12.2f %8.2f\n", body->name, median(scans), median(searches),
               median(ratios));
    }
    free(text);
    return 0;
}
