#ifndef TALEA_ARBITER_IDEMPOTENCY_H
#define TALEA_ARBITER_IDEMPOTENCY_H
/*
 * Every idempotency key that was ever committed, and what its first commit
 * answered. The newest are in memory; all but the very newest also stand in
 * the LMDB environment <dir>/idempotency, which is durable by itself and knows
 * the place in the log up to which it holds every key. What is newer is read
 * from the log at the start.
 *
 * A key's identity is the SHA-256 of its book's length, its book and itself.
 *
 * Spilled keys are kept in sorted runs, one for each spill, under the key
 * run number BE4 + digest: a spill appends, whatever the digests are. A filter
 * in memory stands in front of all runs; a key that passes it is looked for in
 * the runs, newest first.
 */
#include <stdbool.h>
#include <stdint.h>

#include "arbiter/log_recovery.h"
#include "common/digest.h"
#include "common/uuid7.h"

struct idempotency;

/* What the first commit of a key answered. */
struct committed {
    uint64_t seq;
    int64_t at_us;
    struct uuid tx_id;
};

/*
 * Opens <dir>/idempotency. Missing, damaged or another ledger's: thrown away
 * with one line, and begun empty. 0 or errno. *has_mark says whether *mark
 * tells up to where in the log every key is in it.
 */
int idempotency_open(const char *data_dir, struct uuid ledger, uint64_t hot_cap, struct idempotency **out,
                     bool *has_mark, struct log_mark *mark) __attribute__((warn_unused_result));
void idempotency_close(struct idempotency **idempotency);

struct sha256 idempotency_digest(struct bytes book, struct bytes key);

bool idempotency_find(struct idempotency *idempotency, const struct sha256 *digest, struct committed *out);

/* The key must not be there yet. Counts for find at once; spilled once its batch is settled. */
void idempotency_add(struct idempotency *idempotency, const struct sha256 *digest, const struct committed *committed);

/*
 * After a batch is durable: all keys added so far lie in the log before
 * `mark`. Spills and forgets old ones when it is time. Any error is one of the
 * spill: nothing is lost, the keys stay in memory until a later try succeeds
 * (ENOSPC) or the process ends.
 */
int idempotency_settle(struct idempotency *idempotency, const struct log_mark *mark)
    __attribute__((warn_unused_result));

uint64_t idempotency_hot_count(const struct idempotency *idempotency);
uint64_t idempotency_spilled_count(const struct idempotency *idempotency);

#endif
