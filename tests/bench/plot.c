#include "tests/bench/plot.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/command_line.h"
#include "tests/bench/plot_data.h"
#include "tests/bench/plot_svg.h"

/* As talea-bench(1) has them. */
#define STATUS_DONE 0
#define STATUS_FAILED 3

static const struct command command = {
    .words = {PLOT_WORD},
    .operand = "FILE",
    .help = PLOT_HELP,
    .flags = {{.name = "--out", .metavar = "FILE", .help = "the SVG to write", .required = true},
              {.name = "--title", .metavar = "TEXT", .help = "stands above the chart"},
              {.name = "--caption", .metavar = "TEXT", .help = "stands below it, in as many lines as it needs"},
              {.name = "--x", .metavar = "FIELD", .help = "what lies along the horizontal axis (per_s)"},
              {.name = "--y", .metavar = "FIELD,...", .help = "what is drawn against it, up to four (p50,p99)"},
              {.name = "--by", .metavar = "FIELD", .help = "runs with the same value here are joined by one line"}},
};
static const struct flag no_flags[] = {{0}};
static const struct program program = {
    .name = "talea-bench",
    .summary = PLOT_HELP,
    .commands = &command,
    .command_count = 1,
    .global_flags = no_flags,
};

struct request {
    const char *in, *out, *title, *caption;
    char *y; /* cut into pieces, which the choice points to */
    struct plot_choice choice;
};

/* False: there are too many, or none. */
static bool cut(struct request *r)
{
    char *rest = NULL;
    for (char *field = strtok_r(r->y, ",", &rest); field; field = strtok_r(NULL, ",", &rest)) {
        if (r->choice.y_count == PLOT_MEASURES_MAX)
            return false;
        r->choice.y[r->choice.y_count++] = field;
    }
    for (size_t i = 1; i < r->choice.y_count; i++)
        if (plot_is_latency(r->choice.y[i]) != plot_is_latency(r->choice.y[0]))
            return false; /* two measures on one axis */
    return r->choice.y_count > 0;
}

static int read_request(const struct arguments *given, struct request *r)
{
    const char *x = argument(given, "--x"), *y = argument(given, "--y") ? argument(given, "--y") : "p50,p99";
    *r = (struct request){.in = given->operand, .out = argument(given, "--out"), .title = argument(given, "--title")};
    r->caption = argument(given, "--caption");
    r->choice.x = x ? x : "per_s";
    r->choice.by = argument(given, "--by");
    r->y = strdup(y);
    if (r->y && cut(r))
        return 0;
    fprintf(stderr, "talea-bench: plot: --y '%s': expected up to %d fields, all of them latencies or none\n", y,
            PLOT_MEASURES_MAX);
    return EINVAL;
}

static int write_file(const char *path, struct bytes bytes)
{
    FILE *file = fopen(path, "we");
    int error = !file ? errno : 0;
    if (!error && fwrite(bytes.base, 1, bytes.len, file) != bytes.len)
        error = errno;
    if (file && fclose(file) != 0 && !error)
        error = errno;
    if (error)
        fprintf(stderr, "talea-bench: plot: cannot write %s: %s\n", path, strerror(error));
    return error;
}

static int draw(const struct request *r)
{
    struct plot_data data;
    struct buffer svg = {0};
    char why[512] = "";
    FILE *file = fopen(r->in, "re");
    int error = !file ? errno : plot_data_read(file, &r->choice, &data, why, sizeof why);
    if (error)
        fprintf(stderr, "talea-bench: plot: %s: %s\n", r->in, file ? why : strerror(error));
    if (file)
        fclose(file);
    if (error)
        return STATUS_FAILED;
    plot_svg(&data, &r->choice, r->title, r->caption, &svg);
    error = write_file(r->out, buffer_bytes(&svg));
    buffer_free(&svg);
    plot_data_free(&data);
    return error ? STATUS_FAILED : STATUS_DONE;
}

int plot_command(int argc, char **argv)
{
    const struct command *found;
    struct arguments given = {0}, none = {0};
    struct request request = {0};
    int status = command_line_read(&program, argc, argv, &found, &given, &none);
    if (status == COMMAND_LINE_GO_ON)
        status = read_request(&given, &request) ? COMMAND_LINE_WRONG : draw(&request);
    free(request.y);
    arguments_free(&given);
    arguments_free(&none);
    return status;
}
