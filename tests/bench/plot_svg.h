#ifndef TALEA_BENCH_PLOT_SVG_H
#define TALEA_BENCH_PLOT_SVG_H
/* The chart: SVG without scripts or fonts of its own, for light pages and, where the reader prefers it, dark ones. */
#include "common/buffer.h"
#include "tests/bench/plot_data.h"

/* Appends the document. title, and caption, which stands below in as many lines as it needs: NULL: none. */
void plot_svg(const struct plot_data *data, const struct plot_choice *choice, const char *title, const char *caption,
              struct buffer *out);

#endif
