#ifndef TALEA_ARBITER_WORKER_LINKS_H
#define TALEA_ARBITER_WORKER_LINKS_H
/*
 * The arbiter's end of the rings. A slot's rings are reset here, and only
 * here, when the master has put a new generation into it: then the old worker
 * is dead and the new one still waits. What a dead worker had submitted is
 * carried out all the same; its answers are dropped.
 *
 * A worker whose ring makes no sense is killed; the master replaces it.
 */
#include <stdbool.h>

#include "arbiter/write_queue.h"
#include "common/border.h"

struct worker_links;

/* Submissions of another arbiter's epoch are dropped: their requests have been answered 503. */
struct worker_links *worker_links_create(struct border *border, uint64_t epoch);
void worker_links_destroy(struct worker_links **links);

/* Resets what needs it. True when a worker has died since the last call. */
bool worker_links_follow_generations(struct worker_links *links);

/* Moves everything that waits in the rings into the queue. Requests that the queue refuses whole are answered. */
void worker_links_drain(struct worker_links *links, struct write_queue *queue);

/* Is there nothing to do: no submission, no new generation? Looks at shared memory afresh. */
bool worker_links_idle(struct worker_links *links);

/* Sends the verdicts and frees the submission. The worker is woken by worker_links_ring_bells. */
void worker_links_answer(struct worker_links *links, struct submission *submission);

/* Wakes every worker that was answered since the last call, and those with event streams if `committed`. */
void worker_links_ring_bells(struct worker_links *links, bool committed);

/* Wakes all: the arbiter's state has changed. */
void worker_links_ring_all(struct worker_links *links);

#endif
