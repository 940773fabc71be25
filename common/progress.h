#ifndef TALEA_COMMON_PROGRESS_H
#define TALEA_COMMON_PROGRESS_H
/* How far something long is: a line every two seconds, and whoever else wants to know. */
#include <stdint.h>

typedef void progress_fn(void *context, unsigned percent, uint64_t seconds_left);

struct progress {
    const char *what; /* "replaying the log" */
    progress_fn *tell; /* may be NULL: then there are lines alone */
    void *context;
    uint64_t begun_ns;
    uint64_t told_ns;
};

void progress_begin(struct progress *progress, const char *what, progress_fn *tell, void *context);

/* `done` of `all` bytes. Call it often; it looks at the clock and mostly does nothing. */
void progress_step(struct progress *progress, uint64_t done, uint64_t all);

#endif
