#include "milter/histogram.h"

#define US UINT64_C(1000)
#define MS (1000 * US)
#define SECOND (1000 * MS)

const struct histogram_scale histogram_answers = {
    .per_unit = SECOND,
    .count = 15,
    .buckets = {{2 * US + 500, "2.5e-06"},
                {5 * US, "5e-06"},
                {10 * US, "1e-05"},
                {25 * US, "2.5e-05"},
                {50 * US, "5e-05"},
                {100 * US, "0.0001"},
                {250 * US, "0.00025"},
                {500 * US, "0.0005"},
                {MS, "0.001"},
                {2 * MS + 500 * US, "0.0025"},
                {5 * MS, "0.005"},
                {10 * MS, "0.01"},
                {50 * MS, "0.05"},
                {250 * MS, "0.25"},
                {SECOND, "1"}},
};

const struct histogram_scale histogram_transfers = {
    .per_unit = 1000,
    .count = 14,
    .buckets = {{5, "0.005"},
                {10, "0.01"},
                {25, "0.025"},
                {50, "0.05"},
                {100, "0.1"},
                {250, "0.25"},
                {500, "0.5"},
                {1000, "1"},
                {2500, "2.5"},
                {10000, "10"},
                {30000, "30"},
                {60000, "60"},
                {300000, "300"},
                {1800000, "1800"}},
};

const struct histogram_scale histogram_octets = {
    .per_unit = 1,
    .count = 12,
    .buckets = {{64, "64"},
                {256, "256"},
                {1024, "1024"},
                {4096, "4096"},
                {16384, "16384"},
                {65536, "65536"},
                {262144, "262144"},
                {1048576, "1.048576e+06"},
                {4194304, "4.194304e+06"},
                {16777216, "1.6777216e+07"},
                {67108864, "6.7108864e+07"},
                {268435456, "2.68435456e+08"}},
};

void histogram_init(struct histogram *histogram, const struct histogram_scale *scale)
{
    *histogram = (struct histogram){.scale = scale};
}

void histogram_observe(struct histogram *histogram, uint64_t value)
{
    const struct histogram_scale *scale = histogram->scale;
    size_t i = 0;
    while (i < scale->count && value > scale->buckets[i].bound)
        i++;
    if (i < scale->count)
        histogram->buckets[i]++;
    histogram->count++;
    histogram->sum += (double)value;
}

uint64_t histogram_count_upto(const struct histogram *histogram, size_t index)
{
    uint64_t count = 0;
    for (size_t i = 0; i <= index; i++)
        count += histogram->buckets[i];
    return count;
}

double histogram_sum(const struct histogram *histogram)
{
    return histogram->sum / histogram->scale->per_unit;
}
