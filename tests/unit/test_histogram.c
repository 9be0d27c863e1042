/* Histograms: the scales are sound, and each value falls where it belongs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "milter/histogram.h"

static const struct histogram_scale *const scales[] = {&histogram_answers, &histogram_transfers,
                                                       &histogram_octets};
#define SCALES (sizeof(scales) / sizeof(scales[0]))

static void test_scales_ascend_and_are_named_rightly(void **state)
{
    (void)state;
    for (size_t s = 0; s < SCALES; s++) {
        const struct histogram_scale *scale = scales[s];
        assert_in_range(scale->count, 5, HISTOGRAM_BUCKETS_MAX);
        for (size_t i = 0; i < scale->count; i++) {
            double shown = strtod(scale->buckets[i].text, NULL);
            double bound = (double)scale->buckets[i].bound;
            assert_true(shown * scale->per_unit < bound * 1.0000001);
            assert_true(shown * scale->per_unit > bound * 0.9999999);
            assert_true(i == 0 || scale->buckets[i].bound > scale->buckets[i - 1].bound);
        }
    }
}

/* Each bound with its neighbours, against counting them one by one. */
static void test_values_at_the_bounds(void **state)
{
    (void)state;
    for (size_t s = 0; s < SCALES; s++) {
        const struct histogram_scale *scale = scales[s];
        struct histogram histogram;
        uint64_t values[3 * HISTOGRAM_BUCKETS_MAX + 2];
        size_t count = 0;
        double sum = 0;
        values[count++] = 0;
        values[count++] = UINT64_MAX;
        for (size_t i = 0; i < scale->count; i++)
            for (int step = -1; step <= 1; step++)
                values[count++] = scale->buckets[i].bound + (uint64_t)(int64_t)step;
        histogram_init(&histogram, scale);
        for (size_t i = 0; i < count; i++) {
            histogram_observe(&histogram, values[i]);
            sum += (double)values[i];
        }
        assert_int_equal(histogram.count, count);
        assert_true(histogram_sum(&histogram) == sum / scale->per_unit);
        for (size_t b = 0; b < scale->count; b++) {
            uint64_t want = 0;
            for (size_t i = 0; i < count; i++)
                want += values[i] <= scale->buckets[b].bound;
            assert_int_equal(histogram_count_upto(&histogram, b), want);
        }
    }
}

static void test_init_empties(void **state)
{
    struct histogram histogram;
    (void)state;
    histogram_init(&histogram, &histogram_octets);
    histogram_observe(&histogram, 100);
    histogram_init(&histogram, &histogram_octets);
    assert_int_equal(histogram.count, 0);
    assert_int_equal(histogram_count_upto(&histogram, histogram_octets.count - 1), 0);
    assert_true(histogram_sum(&histogram) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scales_ascend_and_are_named_rightly),
        cmocka_unit_test(test_values_at_the_bounds),
        cmocka_unit_test(test_init_empties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
