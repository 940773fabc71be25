#include "server/metrics_text.h"

/*
 * A histogram's count is the sum of the buckets as they were read, never a
 * number of its own: buckets and count agree, however much is counted
 * meanwhile.
 */
#include <inttypes.h>

#define NS_PER_S 1000000000u

void metric_family(struct buffer *out, const char *name, const char *type, const char *help)
{
    buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void metric_gauge(struct buffer *out, const char *name, const char *help, uint64_t value)
{
    metric_family(out, name, "gauge", help);
    buffer_printf(out, "%s %" PRIu64 "\n", name, value);
}

void metric_counter(struct buffer *out, const char *name, const char *help, uint64_t value)
{
    metric_family(out, name, "counter", help);
    buffer_printf(out, "%s %" PRIu64 "\n", name, value);
}

void metric_seconds(struct buffer *out, uint64_t ns)
{
    buffer_printf(out, "%" PRIu64 ".%09" PRIu64, ns / NS_PER_S, ns % NS_PER_S);
}

/* A bound as `le` writes it: no trailing zeros. */
static void bound_seconds(struct buffer *out, uint64_t ns)
{
    uint64_t fraction = ns % NS_PER_S;
    buffer_printf(out, "%" PRIu64, ns / NS_PER_S);
    if (fraction == 0)
        return;
    int digits = 9;
    for (; fraction % 10 == 0; fraction /= 10)
        digits--;
    buffer_printf(out, ".%0*" PRIu64, digits, fraction);
}

void metric_latencies(struct buffer *out, const char *name, const char *labels,
                      const uint64_t counts[LATENCY_BUCKET_COUNT + 1], uint64_t sum_ns)
{
    uint64_t below = 0;
    for (unsigned b = 0; b < LATENCY_BUCKET_COUNT; b++) {
        below += counts[b];
        buffer_printf(out, "%s_bucket{%s,le=\"", name, labels);
        bound_seconds(out, latency_bucket_bound_ns(b));
        buffer_printf(out, "\"} %" PRIu64 "\n", below);
    }
    below += counts[LATENCY_BUCKET_COUNT];
    buffer_printf(out, "%s_bucket{%s,le=\"+Inf\"} %" PRIu64 "\n%s_sum{%s} ", name, labels, below, name, labels);
    metric_seconds(out, sum_ns);
    buffer_printf(out, "\n%s_count{%s} %" PRIu64 "\n", name, labels, below);
}

void metric_fast_histogram(struct buffer *out, const char *name, const char *help, const struct fast_counts *counts)
{
    uint64_t below = 0;
    metric_family(out, name, "histogram", help);
    for (unsigned b = 0; b < FAST_BUCKET_COUNT; b++) {
        below += counter_get(&counts->bucket[b]);
        buffer_printf(out, "%s_bucket{le=\"", name);
        bound_seconds(out, fast_bucket_bound_ns(b));
        buffer_printf(out, "\"} %" PRIu64 "\n", below);
    }
    below += counter_get(&counts->bucket[FAST_BUCKET_COUNT]);
    buffer_printf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum ", name, below, name);
    metric_seconds(out, counter_get(&counts->sum_ns));
    buffer_printf(out, "\n%s_count %" PRIu64 "\n", name, below);
}

void metric_size_histogram(struct buffer *out, const char *name, const char *help, const struct size_counts *counts)
{
    uint64_t below = 0;
    metric_family(out, name, "histogram", help);
    for (unsigned b = 0; b < SIZE_BUCKET_COUNT; b++) {
        below += counter_get(&counts->bucket[b]);
        buffer_printf(out, "%s_bucket{le=\"%" PRIu64 "\"} %" PRIu64 "\n", name, size_bucket_bound(b), below);
    }
    below += counter_get(&counts->bucket[SIZE_BUCKET_COUNT]);
    buffer_printf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum %" PRIu64 "\n%s_count %" PRIu64 "\n", name, below,
                  name, counter_get(&counts->sum), name, below);
}
