#ifndef TALEA_COMMON_DATA_DIR_H
#define TALEA_COMMON_DATA_DIR_H
/*
 * The names inside a ledger's directory, once.
 *
 *   LOCK                                 flock(2) by the arbiter
 *   log/segment-<position>.log           the truth
 *   index/data.mdb, lock.mdb, STATE      LMDB, derived
 *   idempotency/data.mdb, lock.mdb       LMDB, spilled keys
 *   snapshots/snapshot-<position>.mdb    copies of the index
 *   control                              socket of the master, while talead serves
 */
#include <stdbool.h>
#include <stdint.h>

#define DATA_DIR_LOCK "LOCK"
#define DATA_DIR_LOG "log"
#define DATA_DIR_NEXT_SEGMENT "segment.next" /* in log/, while it is made */
#define DATA_DIR_INDEX "index"
#define DATA_DIR_IDEMPOTENCY "idempotency"
#define DATA_DIR_SNAPSHOTS "snapshots"
#define DATA_DIR_CONTROL "control"

/* `dir`/`name`, newly allocated; running out of memory ends the process. */
char *data_dir_path(const char *dir, const char *name);

/*
 * Takes <dir>/LOCK for this process until it ends (the descriptor is O_CLOEXEC
 * and never closed; flock(2) is shared with children forked later, so take it
 * after the fork). 0; EWOULDBLOCK when another process holds it; or errno.
 */
int data_dir_lock(const char *dir) __attribute__((warn_unused_result));

/* Does anybody hold its lock? Only a look. */
bool data_dir_is_locked(const char *dir);

#endif
