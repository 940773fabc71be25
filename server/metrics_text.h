#ifndef TALEA_SERVER_METRICS_TEXT_H
#define TALEA_SERVER_METRICS_TEXT_H
/*
 * Prometheus' text format, version 0.0.4: the lines that every family of
 * metrics is made of. A family is written once, then all its samples.
 */
#include <stdint.h>

#include "common/border.h"
#include "common/buffer.h"

/* The # HELP and # TYPE lines; type is "counter", "gauge" or "histogram". */
void metric_family(struct buffer *out, const char *name, const char *type, const char *help);

/* A family with one sample and no label. */
void metric_gauge(struct buffer *out, const char *name, const char *help, uint64_t value);
void metric_counter(struct buffer *out, const char *name, const char *help, uint64_t value);

/* A value in seconds, all nine decimals of it. */
void metric_seconds(struct buffer *out, uint64_t ns);

/* The buckets, sum and count of one latency histogram; labels without braces: `method="GET",route="/health"`. */
void metric_latencies(struct buffer *out, const char *name, const char *labels,
                      const uint64_t counts[LATENCY_BUCKET_COUNT + 1], uint64_t sum_ns);

/* A family of one histogram without labels. */
void metric_fast_histogram(struct buffer *out, const char *name, const char *help, const struct fast_counts *counts);
void metric_size_histogram(struct buffer *out, const char *name, const char *help, const struct size_counts *counts);

#endif
