#include "tests/bench/plot_axis.h"

#include <math.h>
#include <stdio.h>

#define LINEAR_TICKS 6
#define LABELLED_WITHIN 3.1 /* decades: a longer axis has a tick for each power of ten alone */

static void add_tick(struct plot_axis *axis, double value)
{
    if (axis->tick_count < PLOT_TICKS_MAX)
        axis->ticks[axis->tick_count++] = value;
}

/* 1, 2 or 5 times a power of ten, not under `least`. */
static double round_step(double least)
{
    double power = pow(10, floor(log10(least)));
    double part = least / power;
    return power * (part <= 1 ? 1 : part <= 2 ? 2 : part <= 5 ? 5 : 10);
}

static void fit_linear(struct plot_axis *axis, double most)
{
    double step = round_step((most > 0 ? most : 1) / LINEAR_TICKS);
    axis->from = 0;
    axis->to = step * ceil((most > 0 ? most : 1) / step - 1e-9);
    for (int i = 0; i * step <= axis->to * (1 + 1e-9); i++)
        add_tick(axis, i * step);
}

static void fit_logarithmic(struct plot_axis *axis, double least, double most)
{
    static const int steps[] = {1, 2, 5};
    axis->from = least / 1.15;
    axis->to = most * 1.15;
    bool all = log10(axis->to / axis->from) < LABELLED_WITHIN;
    for (double power = pow(10, floor(log10(axis->from))); power <= axis->to; power *= 10)
        for (size_t i = 0; i < (all ? sizeof steps / sizeof *steps : 1); i++)
            if (power * steps[i] >= axis->from && power * steps[i] <= axis->to)
                add_tick(axis, power * steps[i]);
}

void plot_axis_fit(struct plot_axis *axis, bool logarithmic, double least, double most)
{
    axis->logarithmic = logarithmic && least > 0;
    axis->tick_count = 0;
    if (axis->logarithmic)
        fit_logarithmic(axis, least, most);
    else
        fit_linear(axis, most);
}

void plot_axis_mark(struct plot_axis *axis, const double *values, size_t count, double apart)
{
    axis->tick_count = 0;
    if (!axis->logarithmic)
        add_tick(axis, 0);
    for (size_t i = 0; i < count; i++) {
        double last = axis->tick_count ? plot_axis_place(axis, axis->ticks[axis->tick_count - 1]) : -1;
        if (plot_axis_place(axis, values[i]) >= last + apart)
            add_tick(axis, values[i]);
    }
}

double plot_axis_place(const struct plot_axis *axis, double value)
{
    if (!axis->logarithmic)
        return (value - axis->from) / (axis->to - axis->from);
    return value <= axis->from ? 0 : log(value / axis->from) / log(axis->to / axis->from);
}

void plot_axis_label(double value, char *out, size_t size)
{
    if (value >= 1e6)
        snprintf(out, size, "%gM", value / 1e6);
    else if (value >= 1e4)
        snprintf(out, size, "%gk", value / 1e3);
    else
        snprintf(out, size, "%.6g", value);
}
