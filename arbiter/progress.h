#ifndef TALEA_ARBITER_PROGRESS_H
#define TALEA_ARBITER_PROGRESS_H
/*
 * How far a long step of the recovery is: a line every few seconds, and the
 * same in the border, from where the master tells the service manager.
 */
#include "common/border.h"

struct progress {
    struct border *border;
    enum recovery_step step;
    uint64_t begun_ns;
    uint64_t told_ns;
};

/* `border` may be NULL: then there are lines alone. */
void progress_begin(struct progress *progress, struct border *border, enum recovery_step step);

/* `done` of `all` bytes. Call it often; it looks at the clock and mostly does nothing. */
void progress_step(struct progress *progress, uint64_t done, uint64_t all);

#endif
