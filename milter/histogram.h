/*
 * Histograms with fixed buckets, as Prometheus has them.
 *
 * Values are whole numbers of some fine unit (nanoseconds, milliseconds, octets); a scale names
 * the buckets and how many of these make one unit as it is shown. Not thread-safe.
 */
#ifndef BDAT_HISTOGRAM_H
#define BDAT_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_BUCKETS_MAX 16

struct histogram_bucket {
    uint64_t bound;   /* values up to it fall in here */
    const char *text; /* the bound in the unit shown */
};

struct histogram_scale {
    double per_unit; /* fine units in one that is shown */
    size_t count;
    struct histogram_bucket buckets[HISTOGRAM_BUCKETS_MAX]; /* ascending */
};

/* The scales in use: how long an answer to Postfix takes (values in nanoseconds, shown in
 * seconds), how long a transfer takes (milliseconds, shown in seconds), and sizes of chunks
 * (octets). */
extern const struct histogram_scale histogram_answers;
extern const struct histogram_scale histogram_transfers;
extern const struct histogram_scale histogram_octets;

struct histogram {
    const struct histogram_scale *scale;
    uint64_t count;                          /* of all values */
    double sum;                              /* of all values, in fine units; never wraps */
    uint64_t buckets[HISTOGRAM_BUCKETS_MAX]; /* each value in the first that holds it, or in none */
};

/* Makes it empty. */
void histogram_init(struct histogram *histogram, const struct histogram_scale *scale);

void histogram_observe(struct histogram *histogram, uint64_t value);

/* How many values lie at or below the bound of bucket number `index`. */
uint64_t histogram_count_upto(const struct histogram *histogram, size_t index);

/* The sum of all values in the unit shown. */
double histogram_sum(const struct histogram *histogram);

#endif
