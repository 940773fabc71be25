#ifndef TALEA_BENCH_PLOT_AXIS_H
#define TALEA_BENCH_PLOT_AXIS_H
/* One axis of a chart: from which value to which, and where its ticks are. */
#include <stdbool.h>
#include <stddef.h>

#define PLOT_TICKS_MAX 32

struct plot_axis {
    bool logarithmic;
    double from, to;
    double ticks[PLOT_TICKS_MAX];
    size_t tick_count;
};

/* Fits the axis around values from `least` to `most`. A linear one begins at 0; a logarithmic one wants `least` > 0. */
void plot_axis_fit(struct plot_axis *axis, bool logarithmic, double least, double most);

/*
 * Puts the ticks of an axis that was fitted where its values are, which ascend;
 * but none nearer to the last one than `apart`, a part of the axis.
 */
void plot_axis_mark(struct plot_axis *axis, const double *values, size_t count, double apart);

/* Where a value lies, from 0 to 1. A value below a logarithmic axis lies at its beginning. */
double plot_axis_place(const struct plot_axis *axis, double value);

/* "0.5", "20", "150k", "2M" */
void plot_axis_label(double value, char *out, size_t size);

#endif
