#include "common/progress.h"

#include <inttypes.h>

#include "common/report.h"
#include "common/rfc3339.h"

#define TELL_EVERY_NS 2000000000u

void progress_begin(struct progress *p, const char *what, progress_fn *tell, void *context)
{
    uint64_t now = clock_monotonic_ns();
    *p = (struct progress){.what = what, .tell = tell, .context = context, .begun_ns = now, .told_ns = now};
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
    report(REPORT_INFO, "%s: %u %%, about %" PRIu64 " s left", p->what, percent, left_s);
    if (p->tell)
        p->tell(p->context, percent, left_s);
}
