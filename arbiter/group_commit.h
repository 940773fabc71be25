#ifndef TALEA_ARBITER_GROUP_COMMIT_H
#define TALEA_ARBITER_GROUP_COMMIT_H
/*
 * One group commit: take drafts from the queue, decide them, write their batch
 * and sync it, commit the index, answer. Nothing is answered before the
 * fdatasync has returned 0 and the index shows it.
 */
#include "arbiter/log_writer.h"
#include "arbiter/store.h"
#include "arbiter/worker_links.h"
#include "arbiter/write_queue.h"

struct group_commit {
    struct border *border;
    const struct settings *settings;
    struct store *store;
    struct log_writer *log;
    struct write_queue *queue;
    struct worker_links *links;
    bool disk_full; /* said so in the log, and not yet that it is over */
    uint64_t disk_full_met_ns; /* when a group was refused last */
    uint64_t slow_told_ns;     /* when the log was told of a slow group last; 0: never */
    uint64_t slow_untold;      /* slow groups since then */
};

/* The queue is not empty. Ends the process with EXIT_STATUS_COMMIT_FAILED when the batch could not be made durable. */
void group_commit_run(struct group_commit *commit);

#endif
