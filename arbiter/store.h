#ifndef TALEA_ARBITER_STORE_H
#define TALEA_ARBITER_STORE_H
/*
 * The ledger as the arbiter keeps it: the index, the idempotency keys and the
 * working set between them. It decides drafts by the rules of common/ledger.h
 * and collects what they write until their batch is durable.
 *
 *   store_begin            a group commit, whose batch will lie at a position
 *   store_decide_*         one draft after another; accepted ones become events of the payload
 *   store_payload          what to append to the log
 *   store_write            into a transaction of the index, which nobody sees yet
 *   store_commit           after the fdatasync: everybody sees it
 *
 * A group may be begun and decided once the one before it is written: it sees
 * what that one decided, committed or not, and is committed after it.
 *
 * There is no way back from a decided group but the end of the process: a
 * draft is judged to its end before anything of it is written, and a group
 * whose batch cannot be made durable ends the arbiter.
 *
 * Replaying the log at the start takes the same road: store_replay_batch
 * decides each event again and refuses a log that breaks the rules.
 */
#include <stdbool.h>
#include <stdint.h>

#include "arbiter/log_recovery.h"
#include "common/draft.h"
#include "common/verdict.h"

struct store;

/*
 * Opens (or makes) the index in <index_path> and the idempotency keys.
 * *has_mark and *mark say from where the log must be replayed. 0 or errno.
 */
int store_open(const char *data_dir, struct uuid ledger, uint64_t idem_hot_cap, struct store **out, bool *has_mark,
               struct log_mark *mark) __attribute__((warn_unused_result));
void store_close(struct store **store);

/* Position up to which the index holds the log; 0 when it is new. */
uint64_t store_index_position(struct store *store);
/* The same of the spilled idempotency keys. */
uint64_t store_keys_position(struct store *store);

/*
 * Room in the index for a group of so many drafts with so many postings in
 * all, and for `definition_bytes` of packed assets and accounts, so that a full
 * disk is met before anything is decided. 0; ENOSPC or EDQUOT; EBUSY: there
 * will be room, but not before the transaction is committed that is written
 * now; or another errno.
 */
int store_reserve(struct store *store, uint32_t draft_count, uint64_t posting_count, uint64_t definition_bytes)
    __attribute__((warn_unused_result));

void store_begin(struct store *store, uint64_t batch_position);

/* `packed` is the transaction's body, still packed; it goes into the log as it is. `now_us` is the wall clock. */
void store_decide_post(struct store *store, struct bytes book, struct bytes packed, int64_t now_us,
                       struct verdict *out);
void store_decide_asset(struct store *store, struct bytes packed, int64_t now_us, struct verdict *out);
void store_decide_account(struct store *store, struct bytes book, struct bytes packed, int64_t now_us,
                          struct verdict *out);

struct bytes store_payload(const struct store *store);
uint32_t store_event_count(const struct store *store);

/* `after` is the log's end once the batch is durable. 0 or errno (nothing can be done but end). */
int store_write(struct store *store, const struct log_mark *after) __attribute__((warn_unused_result));
/* The batch that was written last is durable. 0 or errno (nothing can be done but end). */
int store_commit(struct store *store) __attribute__((warn_unused_result));

/*
 * One batch of the log, from wherever store_open's mark says on. Reports what
 * it refuses. Commits to the index by itself from time to time, and spills the
 * keys of the batches before it.
 */
int store_replay_batch(struct store *store, const struct batch_header *header, struct bytes payload,
                       const struct log_mark *after);
/* After the last batch. Its keys may be spilled (store_maintain) once the log's tail is on stable storage. */
int store_replay_end(struct store *store) __attribute__((warn_unused_result));

/* Spills idempotency keys when it is time. ENOSPC is no harm, anything else is the caller's to judge. */
int store_maintain(struct store *store) __attribute__((warn_unused_result));
/* Does a thread spill keys now? Then store_maintain wants to be called now and then, and nothing may be forked. */
bool store_spills(const struct store *store);
/* Brings the index to stable storage and marks it clean: at a clean stop. */
int store_seal(struct store *store) __attribute__((warn_unused_result));
void store_clear_dead_readers(struct store *store);

/* Of what is committed; keys that are decided alone count as hot. */
struct store_figures {
    uint64_t books;
    uint64_t accounts;
    uint64_t events;
    uint64_t hot_keys;
    uint64_t spilled_keys;
};
void store_read_figures(struct store *store, struct store_figures *out);

#endif
