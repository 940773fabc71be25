#ifndef TALEA_ARBITER_RECOVERY_H
#define TALEA_ARBITER_RECOVERY_H
/*
 * From a directory to a ledger that takes posts: decides whether the index may
 * be opened (index_state.h), else restores the newest snapshot or begins an
 * empty one, proves the log and replays what the index or the idempotency
 * keys lack. Reports what it finds and what it refuses.
 */
#include "arbiter/log_writer.h"
#include "arbiter/store.h"
#include "common/border.h"
#include "common/settings.h"

/*
 * The directory is locked and prepared. 0 with both made; EUCLEAN when the
 * files are damaged, foreign or incomplete (reported in one line); or errno (reported).
 */
int recover_ledger(struct border *border, const struct settings *settings, struct store **store, struct log_writer **log)
    __attribute__((warn_unused_result));

#endif
