#ifndef TALEA_BENCH_HISTOGRAM_H
#define TALEA_BENCH_HISTOGRAM_H
/*
 * Counts durations in buckets whose width grows with the value, as
 * HdrHistogram does: a value is told to within a thousandth of itself, from
 * 1 us to 100 s, in one array and without a branch on the size. What is longer
 * counts as 100 s; the greatest and the mean are exact.
 *
 * One thread records; merge when it has ended.
 */
#include <stdint.h>

#define HISTOGRAM_MAX_US 100000000u

struct histogram;

struct histogram *histogram_create(void);
void histogram_destroy(struct histogram **histogram);

void histogram_record(struct histogram *histogram, uint64_t value_us);
void histogram_merge(struct histogram *into, const struct histogram *from);

uint64_t histogram_count(const struct histogram *histogram);
/* 0 when nothing was recorded, as all below. */
double histogram_mean_us(const struct histogram *histogram);
uint64_t histogram_max_us(const struct histogram *histogram);

/*
 * The least value that so many percent (0..100) of the recorded ones do not
 * exceed: the upper end of its bucket, never above the greatest recorded.
 */
uint64_t histogram_percentile_us(const struct histogram *histogram, double percent);

#endif
