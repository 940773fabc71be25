#ifndef TALEA_SERVER_SUBMISSIONS_H
#define TALEA_SERVER_SUBMISSIONS_H
/*
 * The worker's end of the rings: requests that wait for the arbiter. Each is
 * called back once: with its verdicts, or with none when the arbiter died, or
 * the deadline passed. One that was forgotten (its client went away) is not
 * called any more; the arbiter carries it out all the same.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/border.h"
#include "common/message.h"

struct submissions;

struct waiting; /* a request that waits; owned here, gone once it was called back or forgotten */

enum submission_end { SUBMISSION_DECIDED, SUBMISSION_ARBITER_GONE, SUBMISSION_TIMED_OUT };

typedef void submission_done_fn(void *context, enum submission_end end, const struct verdict *verdicts);

struct submissions *submissions_create(struct border *border, uint32_t worker, uint32_t generation);

void submissions_destroy(struct submissions **submissions);

/*
 * Waits until the arbiter has reset the rings for this worker, so that its
 * first post is not refused. No longer than a second, and not at all while no
 * arbiter is ready: reads need none.
 */
void submissions_await_rings(struct submissions *submissions);

/* The message under way: add `count` drafts to it, then submissions_send. */
struct buffer *submissions_begin(struct submissions *submissions, enum submission_kind kind, uint32_t count);

/* NULL when the arbiter takes nothing now, or the ring is full: answer 503. `deadline_ns` is of CLOCK_MONOTONIC. */
struct waiting *submissions_send(struct submissions *submissions, uint64_t deadline_ns, submission_done_fn *done,
                                 void *context);
void submissions_forget(struct waiting *waiting);

/* Delivers what has come, and notices an arbiter that died. True when it did anything. */
bool submissions_receive(struct submissions *submissions);
/* Ends what has waited too long. */
void submissions_expire(struct submissions *submissions);
/* Wakes the arbiter when something was sent since the last call. */
void submissions_flush(struct submissions *submissions);

#endif
