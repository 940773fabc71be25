/* Spilled keys are never missed, new ones seldom taken for old, and a loaded filter is the inserted one. */
#include "arbiter/run_filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#define RUN_KEYS 4096

static struct sha256 digest_of(uint64_t n)
{
    struct bytes part = bytes_of(&n, sizeof n);
    return sha256_of(&part, 1);
}

/* The bits of run r, which holds the keys r * RUN_KEYS and following. */
static uint8_t *bits_of_run(uint32_t run, unsigned log2)
{
    uint8_t *bits = calloc(1, (size_t)1 << (log2 - 3));
    assert_non_null(bits);
    for (uint64_t n = 0; n < RUN_KEYS; n++) {
        struct sha256 digest = digest_of(run * (uint64_t)RUN_KEYS + n);
        run_filter_set(bits, log2, &digest);
    }
    return bits;
}

struct search {
    uint32_t wanted;
    unsigned visited;
};

static bool is_wanted(void *context, uint32_t run)
{
    struct search *search = context;
    search->visited++;
    return run == search->wanted;
}

static bool finds(const struct run_filter *f, uint64_t key, uint32_t run, unsigned *visited)
{
    struct sha256 digest = digest_of(key);
    struct search search = {.wanted = run};
    bool found = run_filter_search(f, &digest, is_wanted, &search);
    *visited += search.visited;
    return found;
}

static void insert_run(struct run_filter *f, uint32_t run, unsigned log2)
{
    uint8_t *bits = bits_of_run(run, log2);
    run_filter_insert(f, log2, &(struct run_bits){run, bits});
    run_filter_publish(f);
    free(bits);
}

static void every_key_leads_to_its_run_and_few_others(void **state)
{
    (void)state;
    const uint32_t runs = 70; /* more than one group holds */
    struct run_filter *f = run_filter_create();
    unsigned log2 = run_filter_log2(RUN_KEYS), visited = 0;
    for (uint32_t r = 0; r < runs; r++)
        insert_run(f, r, log2);
    for (uint64_t n = 0; n < (uint64_t)runs * RUN_KEYS; n += 7)
        assert_true(finds(f, n, (uint32_t)(n / RUN_KEYS), &visited));
    visited = 0;
    const uint64_t strangers = 100000;
    for (uint64_t n = 0; n < strangers; n++)
        assert_false(finds(f, (uint64_t)runs * RUN_KEYS + n, UINT32_MAX, &visited));
    print_message("%u looks into a run for %llu new keys and %u runs\n", visited, (unsigned long long)strangers, runs);
    assert_true(visited < strangers * runs / 1000000);
    run_filter_destroy(&f);
    assert_null(f);
}

static void a_run_counts_once_it_is_published(void **state)
{
    (void)state;
    struct run_filter *f = run_filter_create();
    unsigned log2 = run_filter_log2(RUN_KEYS), visited = 0;
    uint8_t *bits = bits_of_run(0, log2);
    run_filter_insert(f, log2, &(struct run_bits){0, bits});
    assert_false(finds(f, 5, 0, &visited));
    assert_int_equal(visited, 0);
    run_filter_publish(f);
    assert_true(finds(f, 5, 0, &visited));
    free(bits);
    run_filter_destroy(&f);
}

static void loaded_runs_are_found_like_inserted_ones(void **state)
{
    (void)state;
    enum { RUNS = 9 };
    struct run_filter *f = run_filter_create();
    unsigned log2 = run_filter_log2(RUN_KEYS), visited = 0;
    struct run_bits runs[RUNS];
    for (uint32_t r = 0; r < RUNS; r++)
        runs[r] = (struct run_bits){r, bits_of_run(r, log2)};
    run_filter_load(f, log2, runs, RUNS);
    insert_run(f, RUNS, log2);
    for (uint64_t n = 0; n < (RUNS + 1) * RUN_KEYS; n++)
        assert_true(finds(f, n, (uint32_t)(n / RUN_KEYS), &visited));
    assert_true(visited < (RUNS + 1) * RUN_KEYS * 11 / 10);
    for (uint32_t r = 0; r < RUNS; r++)
        free((void *)runs[r].bits);
    run_filter_destroy(&f);
}

static void runs_of_other_sizes_stand_beside_each_other(void **state)
{
    (void)state;
    struct run_filter *f = run_filter_create();
    unsigned visited = 0;
    for (uint32_t r = 0; r < 6; r++)
        insert_run(f, r, run_filter_log2(RUN_KEYS) + r % 3);
    for (uint64_t n = 0; n < 6 * RUN_KEYS; n++)
        assert_true(finds(f, n, (uint32_t)(n / RUN_KEYS), &visited));
    run_filter_destroy(&f);
}

static void a_filter_has_at_least_28_bits_a_key(void **state)
{
    (void)state;
    for (uint64_t keys = 1; keys < 1u << 24; keys += keys / 5 + 1)
        assert_true(28 * keys <= 1ull << run_filter_log2(keys));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_leads_to_its_run_and_few_others),
        cmocka_unit_test(a_run_counts_once_it_is_published),
        cmocka_unit_test(loaded_runs_are_found_like_inserted_ones),
        cmocka_unit_test(runs_of_other_sizes_stand_beside_each_other),
        cmocka_unit_test(a_filter_has_at_least_28_bits_a_key),
    };
    return cmocka_run_group_tests_name("run_filter", tests, NULL, NULL);
}
