#include "tests/bench/plot.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/plot_data.h"
#include "tests/bench/plot_svg.h"

/* As talea-bench(1) has them. */
#define STATUS_DONE 0
#define STATUS_USAGE 2
#define STATUS_FAILED 3

static const char usage[] = "usage: talea-bench plot FILE.jsonl --out FILE.svg [--title T] [--x FIELD] "
                            "[--y FIELD[,FIELD...]] [--by FIELD]\n";

struct request {
    const char *in, *out, *title;
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

static bool read_request(int argc, char **argv, struct request *r)
{
    static const struct option known[] = {{"out", required_argument, NULL, 'o'},
                                          {"title", required_argument, NULL, 't'},
                                          {"x", required_argument, NULL, 'x'},
                                          {"y", required_argument, NULL, 'y'},
                                          {"by", required_argument, NULL, 'b'},
                                          {0}};
    const char *y = "p50,p99";
    optind = 0; /* it may be called more than once in a process */
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (option == 'o')
            r->out = optarg;
        else if (option == 't')
            r->title = optarg;
        else if (option == 'x')
            r->choice.x = optarg;
        else if (option == 'y')
            y = optarg;
        else if (option == 'b')
            r->choice.by = optarg;
        else
            return false;
    }
    r->y = strdup(y);
    r->in = argv[optind];
    return r->y && r->out && argc == optind + 1 && cut(r);
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
    plot_svg(&data, &r->choice, r->title, &svg);
    error = write_file(r->out, buffer_bytes(&svg));
    buffer_free(&svg);
    plot_data_free(&data);
    return error ? STATUS_FAILED : STATUS_DONE;
}

int plot_command(int argc, char **argv)
{
    struct request request = {.choice = {.x = "per_s"}};
    int status = STATUS_USAGE;
    if (read_request(argc, argv, &request))
        status = draw(&request);
    else
        fputs(usage, stderr);
    free(request.y);
    return status;
}
