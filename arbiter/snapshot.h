#ifndef TALEA_ARBITER_SNAPSHOT_H
#define TALEA_ARBITER_SNAPSHOT_H
/*
 * Snapshots: compacted copies of the index (snapshot_file.h),
 * so that an index that was lost is rebuilt from the newest and the log behind
 * it. A copy is made by a child process beside the commit path (the map of the
 * arbiter's own environment may grow meanwhile, which threads could not bear;
 * no thread runs while it is forked, for the child would inherit its locks):
 * temporary name, fsync, rename, fsync of the folder; the two newest are kept.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "arbiter/log_writer.h"
#include "common/progress.h"
#include "common/uuid7.h"

struct snapshots;

/* Made at the arbiter's start, when the ledger holds `events` and its log ends there. */
struct snapshots *snapshots_create(const char *data_dir, uint64_t every_events, const struct log_head *log,
                                   uint64_t events);
void snapshots_destroy(struct snapshots **snapshots);

/*
 * A copy is to be made now, whatever has grown; the next snapshots_follow
 * without a thread or another copy starts it. `order` comes back from
 * snapshots_answered with how it ended.
 */
void snapshots_order(struct snapshots *snapshots, uint64_t order);
/* The last order that came to its end; 0: none. */
uint64_t snapshots_answered(const struct snapshots *snapshots, bool *failed);

/*
 * After a commit: starts a copy when `events` have grown by the setting since
 * the newest one, and by a tenth of the ledger (replaying a tenth is cheaper
 * than copying all of it), and nine times as long has passed as the last copy
 * took or there are 2,000,000 events to replay; unless a thread of the process runs: then a later
 * call starts it. Also collects a copy that has ended. True when one has
 * succeeded since the last call.
 */
bool snapshots_follow(struct snapshots *snapshots, uint64_t events, bool thread_runs);

/* How many copies have failed since the last call, or could not be started. */
uint64_t snapshots_take_failures(struct snapshots *snapshots);

/* Is a copy under way? Then snapshots_follow wants to be called now and then. */
bool snapshots_busy(const struct snapshots *snapshots);

/* Gives up a copy that is under way: a stop does not wait for one of a large ledger. */
void snapshots_abandon(struct snapshots *snapshots);

/*
 * Puts a copy of the newest snapshot that belongs to `ledger` into an empty
 * index folder. 0; ENOENT when there is none that can be used (damaged ones
 * are reported and passed over); or errno.
 */
int snapshots_restore(const char *data_dir, struct uuid ledger, const char *index_path, struct progress *progress)
    __attribute__((warn_unused_result));

#endif
