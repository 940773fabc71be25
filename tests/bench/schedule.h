#ifndef TALEA_BENCH_SCHEDULE_H
#define TALEA_BENCH_SCHEDULE_H
/*
 * When the requests of an open loop are due: request i at begin + i / rate,
 * whatever became of those before it. Threads share a rate: each has every
 * so-manieth request. A request that is taken late keeps the time it was due.
 */
#include <stdbool.h>
#include <stdint.h>

struct schedule {
    uint64_t begin_ns; /* CLOCK_MONOTONIC */
    double rate;       /* requests per second, of all threads together; > 0 */
    uint32_t first, stride; /* the thread's number, and how many there are */
    uint64_t taken;
};

/* When the next request is due. */
uint64_t schedule_next_ns(const struct schedule *schedule);

/* Takes the next request when it is due by now, and tells since when. */
bool schedule_take(struct schedule *schedule, uint64_t now_ns, uint64_t *due_ns);

/* Requests that were due before that time and have not been taken. */
uint64_t schedule_overdue(const struct schedule *schedule, uint64_t before_ns);

#endif
