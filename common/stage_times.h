#ifndef TALEA_COMMON_STAGE_TIMES_H
#define TALEA_COMMON_STAGE_TIMES_H
/*
 * Where the time of a post goes: moments that travel with it over the rings
 * and are summed by its worker, which shows them as metrics. In builds that
 * are configured with --enable-stage-times alone; in others nothing of it is
 * there, and the macros below leave nothing behind.
 */
#ifdef TALEA_STAGE_TIMES

#include <stdatomic.h>
#include <stdint.h>

#include "common/rfc3339.h"

/* In the order in which they come; each ends the stage that the one before it began. */
enum stage_time {
    STAGE_BEGUN,     /* worker: the body is read and checked */
    STAGE_SENT,      /* worker: on the ring */
    STAGE_TAKEN,     /* arbiter: into a group */
    STAGE_DECIDED,   /* arbiter: the whole group is */
    STAGE_DURABLE,   /* arbiter: the batch is written and synced */
    STAGE_SHOWN,     /* arbiter: the index is committed */
    STAGE_DELIVERED, /* worker: taken from the ring */
    STAGE_TIME_COUNT
};

struct stage_times {
    uint64_t at_ns[STAGE_TIME_COUNT]; /* CLOCK_MONOTONIC */
};

/* Written by one worker. */
struct stage_sums {
    _Atomic uint64_t submissions;
    _Atomic uint64_t sum_ns[STAGE_TIME_COUNT]; /* by the moment that ends the stage */
};

static inline void stage_mark(struct stage_times *times, enum stage_time moment)
{
    times->at_ns[moment] = clock_monotonic_ns();
}

/* Those of the arbiter's group that a submission was answered with. */
static inline void stage_take_over(struct stage_times *times, const struct stage_times *group)
{
    for (int moment = STAGE_TAKEN; moment <= STAGE_SHOWN; moment++)
        times->at_ns[moment] = group->at_ns[moment];
}

/* What was refused before it was in a group has no stages. */
static inline void stage_sum_up(struct stage_sums *sums, const struct stage_times *times)
{
    if (times->at_ns[STAGE_SHOWN] == 0)
        return;
    atomic_fetch_add_explicit(&sums->submissions, 1, memory_order_relaxed);
    for (int moment = STAGE_SENT; moment < STAGE_TIME_COUNT; moment++)
        atomic_fetch_add_explicit(&sums->sum_ns[moment], times->at_ns[moment] - times->at_ns[moment - 1],
                                  memory_order_relaxed);
}

#define STAGE_TIMES_FIELD struct stage_times stages;
#define STAGE_SUMS_FIELD struct stage_sums stages;
#define STAGE_TIMES_BYTES sizeof(struct stage_times)
#define STAGE_MARK(times, moment) stage_mark(&(times), moment)
#define STAGE_CLEAR(times) ((times) = (struct stage_times){{0}})
#define STAGE_COPY(to, from) ((to) = (from))
#define STAGE_TAKE_OVER(times, group) stage_take_over(&(times), &(group))
#define STAGE_SUM_UP(sums, times) stage_sum_up(&(sums), &(times))

#else

#define STAGE_TIMES_FIELD
#define STAGE_SUMS_FIELD
#define STAGE_TIMES_BYTES 0
#define STAGE_MARK(times, moment) ((void)0)
#define STAGE_CLEAR(times) ((void)0)
#define STAGE_COPY(to, from) ((void)0)
#define STAGE_TAKE_OVER(times, group) ((void)0)
#define STAGE_SUM_UP(sums, times) ((void)0)

#endif
#endif
