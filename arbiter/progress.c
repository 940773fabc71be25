#include "arbiter/progress.h"

#include <inttypes.h>
#include <unistd.h>

#include "common/report.h"
#include "common/rfc3339.h"

#define TELL_EVERY_NS 2000000000u

void progress_begin(struct progress *p, struct border *border, enum recovery_step step)
{
    uint64_t now = clock_monotonic_ns();
    *p = (struct progress){.border = border, .step = step, .begun_ns = now, .told_ns = now};
}

static void tell_master(struct border *border, enum recovery_step step, unsigned percent, uint64_t left_s)
{
    atomic_store(&border->recovery_step, step);
    atomic_store(&border->recovery_percent, percent);
    atomic_store(&border->recovery_seconds_left, left_s);
    uint64_t one = 1;
    ssize_t done = write(border->master_event_fd, &one, sizeof one);
    (void)done; /* an eventfd that is full wakes its reader all the same */
}

void progress_step(struct progress *p, uint64_t done, uint64_t all)
{
    uint64_t now = clock_monotonic_ns();
    if (now - p->told_ns < TELL_EVERY_NS || done == 0 || done > all)
        return;
    p->told_ns = now;
    double spent_s = (double)(now - p->begun_ns) / 1e9;
    uint64_t left_s = (uint64_t)(spent_s * (double)(all - done) / (double)done + 0.5);
    unsigned percent = (unsigned)((double)done * 100 / (double)all);
    report(REPORT_INFO, "%s: %u %%, about %" PRIu64 " s left", recovery_step_words(p->step), percent, left_s);
    if (p->border)
        tell_master(p->border, p->step, percent, left_s);
}
