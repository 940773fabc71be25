#ifndef TALEA_BENCH_PLOT_DATA_H
#define TALEA_BENCH_PLOT_DATA_H
/* What is to be drawn, read from JSON lines. */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "common/buffer.h"

#define PLOT_LINES_MAX 24
#define PLOT_MEASURES_MAX 4
#define PLOT_NAME_MAX 64

struct plot_choice {
    const char *x, *by; /* by NULL: all runs are of one group */
    const char *y[PLOT_MEASURES_MAX];
    size_t y_count;
};

struct plot_point {
    double x, y;
};

struct plot_line {
    char group[PLOT_NAME_MAX]; /* the value of --by; shortened where it is longer */
    size_t measure;            /* place in y of the choice */
    struct buffer points;      /* of struct plot_point */
};

struct plot_data {
    struct plot_line lines[PLOT_LINES_MAX];
    size_t count;
};

static inline size_t plot_line_count(const struct plot_line *line)
{
    return line->points.len / sizeof(struct plot_point);
}

static inline const struct plot_point *plot_line_points(const struct plot_line *line)
{
    return (const struct plot_point *)(const void *)line->points.base;
}

/* Is it a latency? It is counted in microseconds, and drawn in milliseconds. */
bool plot_is_latency(const char *field);

/*
 * Reads all lines of `file`. A run without one of the fields, or with null
 * there, has no point for it; runs of one line with the same x have one point,
 * their median. 0 with *out to be freed by plot_data_free, or
 * EINVAL and one line in `error`; nothing to draw is EINVAL, too.
 */
int plot_data_read(FILE *file, const struct plot_choice *choice, struct plot_data *out, char *error,
                   size_t error_size) __attribute__((warn_unused_result));
void plot_data_free(struct plot_data *data);

#endif
