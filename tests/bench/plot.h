#ifndef TALEA_BENCH_PLOT_H
#define TALEA_BENCH_PLOT_H
/*
 * `talea-bench plot`: draws the runs in a file of JSON lines, as --json prints
 * them, as a line chart in SVG.
 *
 *   plot FILE.jsonl --out FILE.svg [--title T] [--caption T] [--x FIELD] [--y FIELD[,FIELD...]] [--by FIELD]
 *
 * A FIELD is a number of the line (`per_s`, `connections`, and any other that
 * was added, as `workers`), one of its latencies (`p50`), or one within another
 * object (`event_delay_us.p99`). Latencies are drawn in milliseconds, on a
 * logarithmic axis. There is a line for each value of the field --by and each
 * --y, through its runs in the order of the file; those with the same --x are one
 * point, their median.
 */

#define PLOT_WORD "plot"
#define PLOT_HELP "draw the runs in a file, a line of JSON each, as a chart in SVG"

/* The whole command line, with `plot` or `help plot` first. An exit status; what went wrong was said in one line. */
int plot_command(int argc, char **argv);

#endif
