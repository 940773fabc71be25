#ifndef TALEA_ARBITER_IDEMPOTENCY_H
#define TALEA_ARBITER_IDEMPOTENCY_H
/*
 * Every idempotency key that was ever committed, and what its first commit
 * answered. The newest are in memory; all but the very newest also stand in
 * the LMDB environment <dir>/idempotency, which is durable by itself and knows
 * the place in the log up to which it holds every key. What is newer is read
 * from the log at the start.
 *
 * A filter in memory stands in front of the spilled ones. Spilling happens in
 * a thread beside the commit path; every function here is the commit path's.
 */
#include <stdbool.h>
#include <stdint.h>

#include "arbiter/log_recovery.h"
#include "common/key_schema.h"

struct idempotency;

/*
 * Opens <dir>/idempotency. Missing, damaged or another ledger's: thrown away
 * with one line, and begun empty. 0 or errno. *has_mark says whether *mark
 * tells up to where in the log every key is in it.
 */
int idempotency_open(const char *data_dir, struct uuid ledger, uint64_t hot_cap, struct idempotency **out,
                     bool *has_mark, struct log_mark *mark) __attribute__((warn_unused_result));
void idempotency_close(struct idempotency **idempotency);

/* Every key before this log position is spilled; 0: none. */
uint64_t idempotency_spilled_position(const struct idempotency *idempotency);

/* Ends the process when the spilled keys cannot be read: EXIT_STATUS_REBUILD when they are damaged and thrown away. */
bool idempotency_find(struct idempotency *idempotency, const struct sha256 *digest, struct key_value *out);

/* The key must not be there yet. Counts for find at once; spilled once its batch is settled. */
void idempotency_add(struct idempotency *idempotency, const struct sha256 *digest, const struct key_value *value);

/*
 * After a batch is durable: the first `key_count` keys that were added
 * (idempotency_key_count, when the batch had been decided) lie in the log
 * before `mark`. Starts a spill and forgets old keys when it is time. An error is one
 * of the last spill, told when it has ended: nothing is lost, the keys stay in
 * memory until a later try succeeds.
 */
int idempotency_settle(struct idempotency *idempotency, const struct log_mark *mark, uint64_t key_count)
    __attribute__((warn_unused_result));

/* How many keys were ever added. */
uint64_t idempotency_key_count(const struct idempotency *idempotency);

/* Is a spill under way, or its end not yet taken over by idempotency_settle? */
bool idempotency_spills(const struct idempotency *idempotency);

uint64_t idempotency_hot_count(const struct idempotency *idempotency);
uint64_t idempotency_spilled_count(const struct idempotency *idempotency);

#endif
