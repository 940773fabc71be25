#include "tests/bench/plot_data.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <yajl/yajl_tree.h>

static const char *const latencies[] = {"mean", "p50", "p90", "p99", "p99_9", "max"};

bool plot_is_latency(const char *field)
{
    for (size_t i = 0; i < sizeof latencies / sizeof *latencies; i++)
        if (strcmp(field, latencies[i]) == 0)
            return true;
    return strstr(field, "_us.") != NULL;
}

/* NULL: there is none. */
static yajl_val find(yajl_val run, const char *field)
{
    char first[PLOT_NAME_MAX];
    const char *dot = strchr(field, '.');
    if (dot && (size_t)(dot - field) < sizeof first) {
        memcpy(first, field, (size_t)(dot - field));
        first[dot - field] = '\0';
        return yajl_tree_get(run, (const char *[]){first, dot + 1, NULL}, yajl_t_any);
    }
    yajl_val value = yajl_tree_get(run, (const char *[]){field, NULL}, yajl_t_any);
    return value ? value : yajl_tree_get(run, (const char *[]){"latency_us", field, NULL}, yajl_t_any);
}

static bool find_number(yajl_val run, const char *field, double *out)
{
    yajl_val value = find(run, field);
    if (!YAJL_IS_NUMBER(value))
        return false;
    char *end;
    *out = strtod(YAJL_GET_NUMBER(value), &end) / (plot_is_latency(field) ? 1000 : 1);
    return isfinite(*out) && *out >= 0;
}

static void name_group(yajl_val run, const char *by, char out[static PLOT_NAME_MAX])
{
    yajl_val value = by ? find(run, by) : NULL;
    const char *text = YAJL_IS_STRING(value) ? YAJL_GET_STRING(value)
                       : YAJL_IS_NUMBER(value) ? YAJL_GET_NUMBER(value)
                                               : "";
    /* A number says what it is a number of. */
    snprintf(out, PLOT_NAME_MAX, YAJL_IS_NUMBER(value) ? "%.40s %s" : "%.63s", text, by);
}

/* NULL: there are too many. */
static struct plot_line *line_of(struct plot_data *data, const char *group, size_t measure)
{
    for (size_t i = 0; i < data->count; i++)
        if (data->lines[i].measure == measure && strcmp(data->lines[i].group, group) == 0)
            return &data->lines[i];
    if (data->count == PLOT_LINES_MAX)
        return NULL;
    struct plot_line *line = &data->lines[data->count++];
    line->measure = measure;
    memcpy(line->group, group, PLOT_NAME_MAX);
    return line;
}

static int add_run(struct plot_data *data, yajl_val run, const struct plot_choice *choice)
{
    char group[PLOT_NAME_MAX] = "";
    struct plot_point point;
    name_group(run, choice->by, group);
    if (!find_number(run, choice->x, &point.x))
        return 0;
    for (size_t i = 0; i < choice->y_count; i++) {
        if (!find_number(run, choice->y[i], &point.y))
            continue;
        struct plot_line *line = line_of(data, group, i);
        if (!line)
            return E2BIG;
        buffer_append(&line->points, &point, sizeof point);
    }
    return 0;
}

static int read_run(struct plot_data *data, const char *text, size_t number, const struct plot_choice *choice,
                    char *error, size_t error_size)
{
    char why[256] = "";
    yajl_val run = yajl_tree_parse(text, why, sizeof why);
    why[strcspn(why, "\r\n")] = '\0';
    int status = YAJL_IS_OBJECT(run) ? add_run(data, run, choice) : EINVAL;
    if (status == E2BIG)
        snprintf(error, error_size, "line %zu: more than %d lines to draw: choose another --by", number,
                 PLOT_LINES_MAX);
    else if (status)
        snprintf(error, error_size, "line %zu is no JSON object: %s", number, why);
    yajl_tree_free(run);
    return status ? EINVAL : 0;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of the y of all runs from `first` on that share its x. `values` is room for them. */
static double median_from(const struct plot_point *first, const struct plot_point *end, struct buffer *values)
{
    buffer_clear(values);
    for (const struct plot_point *point = first; point < end; point++)
        if (point->x == first->x)
            buffer_append(values, &point->y, sizeof point->y);
    double *sorted = (double *)(void *)values->base;
    size_t count = values->len / sizeof *sorted;
    qsort(sorted, count, sizeof *sorted, compare);
    return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
}

/* Runs with the same x are one point, where the first of them stood. */
static void merge_runs(struct plot_line *line)
{
    struct plot_point *points = (struct plot_point *)(void *)line->points.base;
    size_t count = plot_line_count(line), kept = 0;
    struct buffer values = {0};
    for (size_t i = 0; i < count; i++) {
        size_t k = 0;
        while (k < kept && points[k].x != points[i].x)
            k++;
        if (k < kept)
            continue;
        double middle = median_from(&points[i], points + count, &values);
        points[kept++] = (struct plot_point){points[i].x, middle};
    }
    line->points.len = kept * sizeof *points;
    buffer_free(&values);
}

int plot_data_read(FILE *file, const struct plot_choice *choice, struct plot_data *out, char *error,
                   size_t error_size)
{
    char *text = NULL;
    size_t room = 0, number = 0;
    int status = 0;
    memset(out, 0, sizeof *out);
    while (status == 0 && getline(&text, &room, file) >= 0) {
        number++;
        if (text[strspn(text, " \t\r\n")] != '\0')
            status = read_run(out, text, number, choice, error, error_size);
    }
    free(text);
    for (size_t i = 0; i < out->count; i++)
        merge_runs(&out->lines[i]);
    if (status == 0 && ferror(file)) {
        snprintf(error, error_size, "cannot read: %s", strerror(errno));
        status = EINVAL;
    }
    if (status == 0 && out->count == 0) {
        snprintf(error, error_size, "nothing to draw: no run has the numbers %s and %s", choice->x, choice->y[0]);
        status = EINVAL;
    }
    if (status)
        plot_data_free(out);
    return status;
}

void plot_data_free(struct plot_data *data)
{
    for (size_t i = 0; i < data->count; i++)
        buffer_free(&data->lines[i].points);
    data->count = 0;
}
