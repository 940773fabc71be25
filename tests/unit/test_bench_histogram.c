/* Counting of durations by talea-bench. */
#include "tests/bench/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct histogram *filled(uint64_t from, uint64_t to)
{
    struct histogram *h = histogram_create();
    for (uint64_t i = from; i <= to; i++)
        histogram_record(h, i);
    return h;
}

static void an_empty_one_says_zero(void **state)
{
    (void)state;
    struct histogram *h = histogram_create();
    assert_int_equal(histogram_count(h), 0);
    assert_int_equal(histogram_percentile_us(h, 50), 0);
    assert_int_equal(histogram_max_us(h), 0);
    assert_true(histogram_mean_us(h) == 0);
    histogram_destroy(&h);
    assert_null(h);
}

static void percentiles_are_the_least_value_that_so_many_do_not_exceed(void **state)
{
    (void)state;
    struct histogram *h = filled(1, 1000);
    assert_int_equal(histogram_count(h), 1000);
    assert_int_equal(histogram_percentile_us(h, 0), 1);
    assert_int_equal(histogram_percentile_us(h, 50), 500);
    assert_int_equal(histogram_percentile_us(h, 90), 900);
    assert_int_equal(histogram_percentile_us(h, 99.9), 999);
    assert_int_equal(histogram_percentile_us(h, 99.95), 1000);
    assert_int_equal(histogram_percentile_us(h, 100), 1000);
    assert_true(histogram_mean_us(h) == 500.5);
    histogram_destroy(&h);
}

static void one_slow_answer_in_ten_thousand_shows_from_its_percentile_on(void **state)
{
    (void)state;
    struct histogram *h = histogram_create();
    for (int i = 0; i < 9999; i++)
        histogram_record(h, 7);
    histogram_record(h, 5000000);
    assert_int_equal(histogram_percentile_us(h, 99.99), 7);
    assert_int_equal(histogram_percentile_us(h, 99.999), 5000000);
    assert_int_equal(histogram_max_us(h), 5000000);
    histogram_destroy(&h);
}

/* Two values in one histogram, so that the greatest recorded does not lend its exactness to the lesser. */
static void a_value_is_told_to_within_a_thousandth(void **state)
{
    (void)state;
    for (uint64_t value = 0; value <= HISTOGRAM_MAX_US; value += 1 + value / 37) {
        struct histogram *h = histogram_create();
        histogram_record(h, value);
        histogram_record(h, HISTOGRAM_MAX_US);
        uint64_t told = histogram_percentile_us(h, 50);
        assert_true(told >= value);
        assert_true(told - value <= value / 1000);
        histogram_destroy(&h);
    }
}

static void values_at_the_edges_of_buckets_keep_their_order(void **state)
{
    (void)state;
    for (unsigned bits = 1; bits < 26; bits++) {
        uint64_t edge = UINT64_C(1) << bits;
        struct histogram *h = histogram_create();
        histogram_record(h, edge - 1);
        histogram_record(h, edge);
        histogram_record(h, HISTOGRAM_MAX_US);
        assert_int_equal(histogram_percentile_us(h, 33), edge - 1);
        assert_in_range(histogram_percentile_us(h, 66), edge, edge + edge / 1000);
        histogram_destroy(&h);
    }
}

static void what_is_too_long_counts_as_the_longest_and_keeps_its_maximum(void **state)
{
    (void)state;
    struct histogram *h = histogram_create();
    histogram_record(h, UINT64_C(3) * HISTOGRAM_MAX_US);
    histogram_record(h, UINT64_C(4) * HISTOGRAM_MAX_US);
    assert_int_equal(histogram_count(h), 2);
    assert_in_range(histogram_percentile_us(h, 50), HISTOGRAM_MAX_US, HISTOGRAM_MAX_US + HISTOGRAM_MAX_US / 1000);
    assert_int_equal(histogram_max_us(h), UINT64_C(4) * HISTOGRAM_MAX_US);
    histogram_destroy(&h);
}

static void merging_gives_what_one_alone_would_have_counted(void **state)
{
    (void)state;
    struct histogram *low = filled(1, 3000), *high = filled(3001, 9000), *all = filled(1, 9000);
    histogram_merge(low, high);
    assert_int_equal(histogram_count(low), 9000);
    assert_int_equal(histogram_max_us(low), 9000);
    assert_true(histogram_mean_us(low) == histogram_mean_us(all));
    for (double percent = 0; percent <= 100; percent += 0.5)
        assert_int_equal(histogram_percentile_us(low, percent), histogram_percentile_us(all, percent));
    histogram_destroy(&low);
    histogram_destroy(&high);
    histogram_destroy(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_one_says_zero),
        cmocka_unit_test(percentiles_are_the_least_value_that_so_many_do_not_exceed),
        cmocka_unit_test(one_slow_answer_in_ten_thousand_shows_from_its_percentile_on),
        cmocka_unit_test(a_value_is_told_to_within_a_thousandth),
        cmocka_unit_test(values_at_the_edges_of_buckets_keep_their_order),
        cmocka_unit_test(what_is_too_long_counts_as_the_longest_and_keeps_its_maximum),
        cmocka_unit_test(merging_gives_what_one_alone_would_have_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
