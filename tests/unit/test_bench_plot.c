/* The charts of talea-bench: which points are drawn and where, and that nothing in the data breaks the document. */
#include "tests/bench/plot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/bench/plot_axis.h"
#include "tests/unit/scratch_dir.h"

#define RUN(label, rate, p50, p99)                                                                                     \
    "{\"label\":\"" label "\",\"per_s\":" #rate ",\"latency_us\":{\"p50\":" #p50 ",\"p99\":" #p99 "},\"rate\":null}\n"

static char svg[65536];

static void write_runs(const char *runs)
{
    scratch_dir_write("runs.jsonl", runs, strlen(runs));
}

/* Into `svg`; empty when there is none. */
static void read_chart(void)
{
    FILE *file = fopen("runs.svg", "r");
    size_t length = file ? fread(svg, 1, sizeof svg - 1, file) : 0;
    svg[length] = '\0';
    if (file)
        fclose(file);
}

/* Draws runs.jsonl, and keeps the chart in `svg`; empty when there is none. */
static int draw(const char *option, const char *value)
{
    char *argv[] = {"talea-bench", "plot", "runs.jsonl", "--out", "runs.svg", (char *)option, (char *)value, NULL};
    unlink("runs.svg");
    int status = plot_command(option ? 7 : 5, argv);
    read_chart();
    return status;
}

static int count(const char *what)
{
    int n = 0;
    for (const char *at = svg; (at = strstr(at, what)); at++)
        n++;
    return n;
}

/* Where the circles are, in their order. */
static size_t circles(double x[], double y[], size_t room)
{
    size_t n = 0;
    for (const char *at = svg; n < room && (at = strstr(at, "<circle")); at++)
        n += sscanf(at, "<circle cx=\"%lf\" cy=\"%lf\"", &x[n], &y[n]) == 2;
    return n;
}

/* Each element is closed in the order in which it was opened, as far as that shows in its names. */
static void assert_well_formed(void)
{
    char open[16][32], name[32];
    int depth = 0;
    for (const char *at = svg; (at = strchr(at, '<')); at++) {
        const char *end = strchr(at, '>');
        assert_non_null(end);
        assert_int_equal(sscanf(at[1] == '/' ? at + 2 : at + 1, "%31[a-z]", name), 1);
        if (at[1] == '/')
            assert_string_equal(name, open[--depth]);
        else if (end[-1] != '/')
            strcpy(open[depth++], name);
    }
    assert_int_equal(depth, 0);
    assert_true(strncmp(svg, "<svg xmlns=\"http://www.w3.org/2000/svg\"", 39) == 0);
}

static void test_each_group_and_measure_has_a_line_through_its_runs(void **state)
{
    (void)state;
    write_runs(RUN("floor", 10000, 200, 900) RUN("floor", 20000, 250, 950) "\n" RUN("talea", 8000, 300, 1200));
    assert_int_equal(draw("--by", "label"), 0);
    assert_well_formed();
    assert_int_equal(count("<circle"), 6);
    assert_int_equal(count("class=\"line c0 m0\""), 2); /* the line, and its sample in the legend */
    assert_int_equal(count("class=\"line c0 m1\""), 2);
    assert_int_equal(count("class=\"line c1 m0\""), 2);
    assert_int_equal(count("class=\"line c1 m1\""), 2);
    assert_int_equal(count(">floor, p50</text>"), 1);
    assert_int_equal(count(">talea, p99</text>"), 1);
}

static void test_equal_factors_of_a_latency_are_equal_distances(void **state)
{
    double x[8], y[8];
    (void)state;
    write_runs(RUN("a", 1000, 100, 1) RUN("a", 2000, 1000, 1) RUN("a", 3000, 10000, 1));
    assert_int_equal(draw("--y", "p50"), 0);
    assert_int_equal(circles(x, y, 8), 3);
    assert_true(y[0] > y[1] && y[1] > y[2]);
    assert_float_equal(y[0] - y[1], y[1] - y[2], 0.2);
    assert_float_equal(x[1] - x[0], x[2] - x[1], 0.2);
    assert_non_null(strstr(svg, ">latency, ms (logarithmic)</text>"));
    assert_non_null(strstr(svg, ">0.1</text>"));
    assert_non_null(strstr(svg, ">10</text>"));
}

static void test_a_rate_is_drawn_from_zero(void **state)
{
    double x[8], y[8];
    (void)state;
    write_runs("{\"workers\":1,\"per_s\":10000}\n{\"workers\":2,\"per_s\":20000}\n{\"workers\":4,\"per_s\":40000}");
    char *argv[] = {"talea-bench", "plot", "runs.jsonl", "--out", "runs.svg", "--x", "workers", "--y", "per_s", NULL};
    assert_int_equal(plot_command(9, argv), 0);
    assert_int_equal(draw(NULL, NULL), 3); /* by default it is p50 and p99 over per_s, of which there are none */
    assert_int_equal(plot_command(9, argv), 0);
    read_chart();
    assert_int_equal(circles(x, y, 8), 3);
    assert_float_equal(y[0] - y[1], (y[1] - y[2]) / 2, 0.2);
    assert_non_null(strstr(svg, ">0</text>"));
    assert_non_null(strstr(svg, ">40k</text>"));
}

static void test_runs_with_the_same_x_are_one_point_at_their_median(void **state)
{
    double x[8], y[8];
    (void)state;
    write_runs(RUN("a", 1000, 400, 1) RUN("b", 1000, 9000, 1) RUN("a", 2000, 800, 1) RUN("a", 1000, 90000, 1)
                   RUN("a", 1000, 100, 1) RUN("a", 2000, 800, 1) RUN("c", 1000, 400, 1) RUN("c", 2000, 600, 1)
                       RUN("c", 2000, 1000, 1));
    char *argv[] = {"talea-bench", "plot", "runs.jsonl", "--out", "runs.svg", "--by", "label", "--y", "p50", NULL};
    assert_int_equal(plot_command(9, argv), 0);
    read_chart();
    assert_int_equal(circles(x, y, 8), 5);
    assert_float_equal(x[0], x[2], 0); /* a, a, b, c, c */
    assert_float_equal(y[0], y[3], 0); /* 400 of 400, 90000, 100 is c's 400 */
    assert_float_equal(y[1], y[4], 0); /* 800 twice is the middle of 600 and 1000 */
    assert_true(y[2] < y[0]);
}

static void test_few_values_of_x_are_marked_where_they_are(void **state)
{
    (void)state;
    write_runs("{\"connections\":1,\"p50\":1}\n{\"connections\":16,\"p50\":2}\n{\"connections\":256,\"p50\":3}\n"
               "{\"connections\":255,\"p50\":3}\n");
    char *argv[] = {"talea-bench", "plot", "runs.jsonl", "--out", "runs.svg", "--x", "connections", "--y", "p50", NULL};
    assert_int_equal(plot_command(9, argv), 0);
    read_chart();
    assert_int_equal(count(">16</text>"), 1);
    assert_int_equal(count(">100</text>"), 0);
    assert_int_equal(count(">255</text>"), 1);
    assert_int_equal(count(">256</text>"), 0); /* no room for its label */
    assert_int_equal(count(">connections (logarithmic)</text>"), 1);
}

static void test_a_caption_is_cut_between_words_and_makes_the_page_longer(void **state)
{
    char words[400] = "";
    int height[2];
    (void)state;
    write_runs(RUN("a", 1000, 100, 200));
    for (int i = 0; i < 30; i++)
        strcat(words, i == 0 ? "<eleven>" : " eleven");
    assert_int_equal(draw("--caption", "one line"), 0);
    assert_non_null(strstr(svg, ">one line</text>"));
    assert_int_equal(sscanf(strstr(svg, "viewBox"), "viewBox=\"0 0 760 %d\"", &height[0]), 1);
    assert_int_equal(draw("--caption", words), 0);
    assert_well_formed();
    assert_int_equal(sscanf(strstr(svg, "viewBox"), "viewBox=\"0 0 760 %d\"", &height[1]), 1);
    assert_int_equal(height[1] - height[0], 2 * 16); /* 212 letters, of which 104 are a line */
    assert_int_equal(count(">&lt;eleven&gt; eleven"), 1);
    assert_int_equal(count(">eleven"), 2);
    assert_int_equal(count("eleven</text>"), 3);
}

static void test_a_caption_without_spaces_is_cut_between_letters(void **state)
{
    char words[400] = "x";
    (void)state;
    write_runs(RUN("a", 1000, 100, 200));
    for (int i = 0; i < 100; i++)
        strcat(words, "\u00e4");
    assert_int_equal(draw("--caption", words), 0);
    assert_int_equal(count("class=\"caption\""), 2);
    assert_int_equal(count(">\u00e4"), 1); /* the second line does not begin within a letter */
}

static void test_a_run_without_the_number_is_left_out(void **state)
{
    (void)state;
    write_runs(RUN("a", 1000, 100, 200) "{\"per_s\":5,\"latency_us\":null}\n" RUN("a", 2000, 100, null) "{}\n");
    assert_int_equal(draw(NULL, NULL), 0);
    assert_int_equal(count("<circle"), 3);
}

static void test_text_from_the_data_stays_text(void **state)
{
    (void)state;
    write_runs(RUN("</text><script>&", 1000, 100, 200));
    assert_int_equal(draw("--by", "label"), 0);
    assert_well_formed();
    assert_int_equal(count("<script"), 0);
    assert_int_equal(count("&lt;/text&gt;&lt;script&gt;&amp;, p50"), 1);
}

static void test_what_cannot_be_drawn_is_refused_and_leaves_no_file(void **state)
{
    (void)state;
    write_runs(RUN("a", 1000, 100, 200) "{\"per_s\":\n");
    assert_int_equal(draw(NULL, NULL), 3);
    assert_int_equal(access("runs.svg", F_OK), -1);
    write_runs("");
    assert_int_equal(draw(NULL, NULL), 3);
    write_runs(RUN("a", 1000, 100, 200));
    assert_int_equal(draw("--y", "per_s,p99"), 2); /* two measures on one axis */
    assert_int_equal(draw("--z", "p99"), 2);
    assert_int_equal(access("runs.svg", F_OK), -1);
}

static void test_more_groups_than_can_be_told_apart_are_refused(void **state)
{
    char runs[4096] = "";
    (void)state;
    for (int i = 0; i < 30; i++)
        sprintf(runs + strlen(runs), "{\"per_s\":1,\"batch\":%d,\"latency_us\":{\"p50\":1}}\n", i);
    write_runs(runs);
    assert_int_equal(draw("--by", "batch"), 3);
}

static void test_a_linear_axis_has_round_ticks_up_to_the_greatest_value(void **state)
{
    struct plot_axis axis;
    (void)state;
    plot_axis_fit(&axis, false, 3, 47000);
    assert_float_equal(axis.from, 0, 0);
    assert_float_equal(axis.to, 50000, 1e-6);
    assert_int_equal(axis.tick_count, 6);
    assert_float_equal(axis.ticks[1], 10000, 1e-6);
    plot_axis_fit(&axis, true, 0, 0); /* no logarithm of nothing */
    assert_false(axis.logarithmic);
    assert_true(axis.to > 0);
}

static void test_a_logarithmic_axis_has_ticks_in_every_decade(void **state)
{
    struct plot_axis axis;
    (void)state;
    plot_axis_fit(&axis, true, 1, 256);
    assert_int_equal(axis.tick_count, 8); /* 1 2 5 10 20 50 100 200 */
    assert_float_equal(axis.ticks[7], 200, 1e-6);
    plot_axis_fit(&axis, true, 0.01, 10000);
    assert_int_equal(axis.tick_count, 7);
    assert_float_equal(plot_axis_place(&axis, 10), 0.5, 0.01);
}

static void test_labels_are_short(void **state)
{
    char label[32];
    (void)state;
    plot_axis_label(0.05, label, sizeof label);
    assert_string_equal(label, "0.05");
    plot_axis_label(150000, label, sizeof label);
    assert_string_equal(label, "150k");
    plot_axis_label(2500000, label, sizeof label);
    assert_string_equal(label, "2.5M");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_group_and_measure_has_a_line_through_its_runs),
        cmocka_unit_test(test_equal_factors_of_a_latency_are_equal_distances),
        cmocka_unit_test(test_a_rate_is_drawn_from_zero),
        cmocka_unit_test(test_runs_with_the_same_x_are_one_point_at_their_median),
        cmocka_unit_test(test_few_values_of_x_are_marked_where_they_are),
        cmocka_unit_test(test_a_caption_is_cut_between_words_and_makes_the_page_longer),
        cmocka_unit_test(test_a_caption_without_spaces_is_cut_between_letters),
        cmocka_unit_test(test_a_run_without_the_number_is_left_out),
        cmocka_unit_test(test_text_from_the_data_stays_text),
        cmocka_unit_test(test_what_cannot_be_drawn_is_refused_and_leaves_no_file),
        cmocka_unit_test(test_more_groups_than_can_be_told_apart_are_refused),
        cmocka_unit_test(test_a_linear_axis_has_round_ticks_up_to_the_greatest_value),
        cmocka_unit_test(test_a_logarithmic_axis_has_ticks_in_every_decade),
        cmocka_unit_test(test_labels_are_short),
    };
    return cmocka_run_group_tests(tests, scratch_dir_enter, scratch_dir_leave);
}
