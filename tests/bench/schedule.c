#include "tests/bench/schedule.h"

static uint64_t due_ns_of(const struct schedule *s, uint64_t taken)
{
    uint64_t index = s->first + taken * s->stride;
    return s->begin_ns + (uint64_t)((long double)index * 1e9L / (long double)s->rate);
}

uint64_t schedule_next_ns(const struct schedule *s)
{
    return due_ns_of(s, s->taken);
}

bool schedule_take(struct schedule *s, uint64_t now_ns, uint64_t *due_ns)
{
    *due_ns = schedule_next_ns(s);
    if (*due_ns > now_ns)
        return false;
    s->taken++;
    return true;
}

uint64_t schedule_overdue(const struct schedule *s, uint64_t before_ns)
{
    if (schedule_next_ns(s) >= before_ns)
        return 0;
    uint64_t more = (uint64_t)((long double)(before_ns - s->begin_ns) * (long double)s->rate / 1e9L / s->stride);
    more = more > s->taken ? more - s->taken : 0;
    while (due_ns_of(s, s->taken + more) < before_ns)
        more++;
    while (more > 0 && due_ns_of(s, s->taken + more - 1) >= before_ns)
        more--;
    return more;
}
