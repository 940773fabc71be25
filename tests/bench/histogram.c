/*
 * Below 2048 each value has a bucket; from there each doubling has 1024, so
 * that a bucket is at most a 1024th of its values wide.
 */
#include "tests/bench/histogram.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "tests/bench/say.h"

#define HALF_BITS 10
#define HALF (1u << HALF_BITS)
#define DOUBLINGS 16 /* 2048 << 16 is beyond 100 s */
#define BUCKETS (2 * HALF + DOUBLINGS * HALF)

_Static_assert((2ull * HALF << DOUBLINGS) > HISTOGRAM_MAX_US, "every value has a bucket");

struct histogram {
    uint64_t count, max_us;
    double sum_us;
    uint64_t buckets[BUCKETS];
};

struct histogram *histogram_create(void)
{
    return need(1, sizeof(struct histogram));
}

void histogram_destroy(struct histogram **histogram)
{
    free(*histogram);
    *histogram = NULL;
}

static unsigned bucket_of(uint32_t value_us)
{
    if (value_us < 2 * HALF)
        return value_us;
    unsigned doubling = 31 - (unsigned)__builtin_clz(value_us) - HALF_BITS;
    return doubling * HALF + (value_us >> doubling);
}

/* The greatest value of a bucket. */
static uint64_t bucket_end_us(unsigned bucket)
{
    if (bucket < 2 * HALF)
        return bucket;
    unsigned doubling = bucket / HALF - 1;
    uint64_t mantissa = bucket - doubling * HALF;
    return ((mantissa + 1) << doubling) - 1;
}

void histogram_record(struct histogram *h, uint64_t value_us)
{
    uint32_t counted_us = value_us > HISTOGRAM_MAX_US ? HISTOGRAM_MAX_US : (uint32_t)value_us;
    h->buckets[bucket_of(counted_us)]++;
    h->count++;
    h->sum_us += (double)value_us;
    if (value_us > h->max_us)
        h->max_us = value_us;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    for (unsigned i = 0; i < BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
    into->count += from->count;
    into->sum_us += from->sum_us;
    if (from->max_us > into->max_us)
        into->max_us = from->max_us;
}

uint64_t histogram_count(const struct histogram *h)
{
    return h->count;
}

double histogram_mean_us(const struct histogram *h)
{
    return h->count ? h->sum_us / (double)h->count : 0;
}

uint64_t histogram_max_us(const struct histogram *h)
{
    return h->max_us;
}

uint64_t histogram_percentile_us(const struct histogram *h, double percent)
{
    assert(percent >= 0 && percent <= 100);
    uint64_t wanted = (uint64_t)ceil(percent / 100 * (double)h->count - 1e-6), passed = 0;
    if (h->count == 0)
        return 0;
    wanted = wanted == 0 ? 1 : wanted;
    for (unsigned i = 0; i < BUCKETS; i++) {
        passed += h->buckets[i];
        if (passed >= wanted)
            return bucket_end_us(i) < h->max_us ? bucket_end_us(i) : h->max_us;
    }
    return h->max_us;
}
