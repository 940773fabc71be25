#ifndef TALEA_SERVER_AUDIT_INDEX_H
#define TALEA_SERVER_AUDIT_INDEX_H
/*
 * The index, a snapshot and the spilled idempotency keys held against the
 * second opinion of audit_ledger.h: every row of every table, both ways.
 */
#include "common/index_reader.h"
#include "common/key_reader.h"
#include "server/audit_ledger.h"

struct audit_index {
    struct index_reader *reader; /* reading while rows are asked for */
    const char *data_dir;
    struct fault *fault;
};

/* Rows that never change again, asked for as the events are applied. */
struct audit_rows audit_index_rows(struct audit_index *index);

/* Everything else, and the number of rows: while reading, with the ledger at the very position the index has. */
int audit_index_compare(struct audit_index *index, const struct audit_ledger *ledger)
    __attribute__((warn_unused_result));

/* Begins a ledger with what the snapshot's file holds. *mark is its place in the log. 0, or EUCLEAN with the fault set. */
int audit_snapshot_load(const char *file, struct audit_ledger *ledger, struct log_mark *mark, struct fault *fault)
    __attribute__((warn_unused_result));

/*
 * Every spilled key is one of the log's, with its answer, once; and every key
 * of the log before the spill's position is spilled. `from` is where the
 * ledger was begun (0: the genesis): keys from before it are only counted.
 */
int audit_keys_compare(struct key_reader *reader, const struct key_reader_state *state, const char *data_dir,
                       uint64_t from, struct audit_ledger *ledger, struct fault *fault)
    __attribute__((warn_unused_result));

#endif
