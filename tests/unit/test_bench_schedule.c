/* When the requests of an open loop are due. */
#include "tests/bench/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define BEGIN UINT64_C(5000000000)
#define MS UINT64_C(1000000)

static void requests_are_due_one_interval_after_another(void **state)
{
    (void)state;
    struct schedule s = {.begin_ns = BEGIN, .rate = 100, .stride = 1};
    uint64_t due;
    for (uint64_t i = 0; i < 1000; i++) {
        assert_false(i > 0 && schedule_take(&s, BEGIN + i * 10 * MS - 1, &due));
        assert_true(schedule_take(&s, BEGIN + i * 10 * MS, &due));
        assert_int_equal(due, BEGIN + i * 10 * MS);
    }
}

static void what_is_taken_late_keeps_the_time_it_was_due(void **state)
{
    (void)state;
    struct schedule s = {.begin_ns = BEGIN, .rate = 1000, .stride = 1};
    uint64_t due, late = BEGIN + 50 * MS;
    for (uint64_t i = 0; i <= 50; i++) {
        assert_true(schedule_take(&s, late, &due));
        assert_int_equal(due, BEGIN + i * MS);
    }
    assert_false(schedule_take(&s, late, &due));
    assert_int_equal(schedule_next_ns(&s), BEGIN + 51 * MS);
}

static void threads_take_turns_and_together_keep_the_rate(void **state)
{
    (void)state;
    uint64_t due, seen[9] = {0};
    for (uint32_t thread = 0; thread < 3; thread++) {
        struct schedule s = {.begin_ns = BEGIN, .rate = 1000, .first = thread, .stride = 3};
        while (schedule_take(&s, BEGIN + 8 * MS, &due))
            seen[(due - BEGIN) / MS]++;
    }
    for (int i = 0; i < 9; i++)
        assert_int_equal(seen[i], 1);
}

static void a_long_run_does_not_drift(void **state)
{
    (void)state;
    struct schedule s = {.begin_ns = BEGIN, .rate = 30000, .stride = 1, .taken = UINT64_C(30000) * 86400};
    assert_int_equal(schedule_next_ns(&s), BEGIN + UINT64_C(86400) * 1000 * MS);
}

static void overdue_requests_are_counted_up_to_a_time_exclusively(void **state)
{
    (void)state;
    struct schedule s = {.begin_ns = BEGIN, .rate = 1000, .stride = 1};
    uint64_t due;
    assert_int_equal(schedule_overdue(&s, BEGIN), 0);
    assert_int_equal(schedule_overdue(&s, BEGIN + 1), 1);
    assert_int_equal(schedule_overdue(&s, BEGIN + 10 * MS), 10);
    assert_int_equal(schedule_overdue(&s, BEGIN + 10 * MS + 1), 11);
    assert_true(schedule_take(&s, BEGIN, &due));
    assert_int_equal(schedule_overdue(&s, BEGIN + 10 * MS), 9);
    while (schedule_take(&s, BEGIN + 20 * MS, &due))
        ;
    assert_int_equal(schedule_overdue(&s, BEGIN + 20 * MS), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_due_one_interval_after_another),
        cmocka_unit_test(what_is_taken_late_keeps_the_time_it_was_due),
        cmocka_unit_test(threads_take_turns_and_together_keep_the_rate),
        cmocka_unit_test(a_long_run_does_not_drift),
        cmocka_unit_test(overdue_requests_are_counted_up_to_a_time_exclusively),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
