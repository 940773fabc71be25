#ifndef TALEA_ARBITER_GROUP_COMMIT_H
#define TALEA_ARBITER_GROUP_COMMIT_H
/*
 * Group commits: take drafts from the queue, decide them, write their batch
 * and sync it, commit the index, answer. Nothing is answered before the
 * fdatasync has returned 0 and the index shows it.
 *
 * While the disk is at work on one group, the next one is decided: it sees
 * what the first one will have done, is written after it and answered after
 * it. When the first one fails, so does all; one batch at a time is unsynced.
 */
#include "arbiter/log_writer.h"
#include "arbiter/store.h"
#include "arbiter/worker_links.h"
#include "arbiter/write_queue.h"

struct group {
    struct draft_list taken; /* empty: there is no group */
    bool decided;
    uint32_t event_count; /* 0: nothing is written for it */
    int64_t now_us;       /* by which it was decided */
    struct log_mark end;  /* the log's, behind its batch */
    uint64_t begin_ns;
    uint64_t sync_ns;
    STAGE_TIMES_FIELD
};

/* Zero-initialised but for what its user sets; ready after group_commit_prepare. */
struct group_commit {
    struct border *border;
    const struct settings *settings;
    struct store *store;
    struct log_writer *log;
    struct write_queue *queue;
    struct worker_links *links;
    struct group groups[2];
    struct group *under_way; /* decided, its batch on the way to the disk */
    struct group *next;      /* taken from the queue, decided when there is room for it */
    bool disk_full; /* said so in the log, and not yet that it is over */
    uint64_t disk_full_met_ns; /* when a group was refused last */
    uint64_t slow_told_ns;     /* when the log was told of a slow group last; 0: never */
    uint64_t slow_untold;      /* slow groups since then */
};

void group_commit_prepare(struct group_commit *commit);
void group_commit_release(struct group_commit *commit);

/* Nothing is under way, and nothing waits. */
bool group_commit_is_idle(const struct group_commit *commit);

/*
 * A step: decides the next group, ends the one under way, begins to write the
 * next. Ends the process with EXIT_STATUS_COMMIT_FAILED when a batch could not
 * be made durable.
 */
void group_commit_run(struct group_commit *commit);

#endif
