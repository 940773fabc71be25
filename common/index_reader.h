#ifndef TALEA_COMMON_INDEX_READER_H
#define TALEA_COMMON_INDEX_READER_H
/*
 * Reading the index beside the arbiter that writes it. A reader sees one
 * consistent state between begin and end, always one whose every event is
 * durable. Keep that span short and never across a return to the event loop:
 * an open transaction pins pages.
 *
 * Open after the fork. Functions return 0, ENOENT where the thing asked for is
 * not there, EIO when a row is malformed, or another errno. Slices point into the mapping
 * and are valid until index_reader_end.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/draft.h"
#include "common/index_schema.h"
#include "common/log_reader.h"
#include "common/posting_rows.h"

struct index_reader;

int index_reader_open(const char *data_dir, struct index_reader **out) __attribute__((warn_unused_result));
/* The same of a snapshot's file. */
int index_reader_open_snapshot(const char *file, struct index_reader **out) __attribute__((warn_unused_result));
void index_reader_close(struct index_reader **reader);

/*
 * Begins to read. `generation` is border->index_generation: when it differs
 * from the one last seen, the environment is opened anew. A map that has grown
 * is taken care of.
 */
int index_reader_begin(struct index_reader *reader, uint32_t generation) __attribute__((warn_unused_result));
void index_reader_end(struct index_reader *reader);

/* Rows as they stand, for whoever checks all of them. */
int index_row(struct index_reader *reader, enum index_table table, const void *key, size_t key_len,
              struct bytes *value) __attribute__((warn_unused_result));
int index_row_count(struct index_reader *reader, enum index_table table, uint64_t *count)
    __attribute__((warn_unused_result));
/* Rows whose keys begin with `prefix`, in the order of keys, until `each` returns other than 0, which is returned. */
typedef int index_row_fn(void *context, struct bytes key, struct bytes value);
int index_each_row(struct index_reader *reader, enum index_table table, struct bytes prefix, index_row_fn *each,
                   void *context) __attribute__((warn_unused_result));

int index_reader_meta(struct index_reader *reader, struct index_meta *out) __attribute__((warn_unused_result));

int index_find_book(struct index_reader *reader, struct bytes name, struct book_row *out)
    __attribute__((warn_unused_result));
/*
 * The same for who asks for the number alone (at_us INT64_MIN), or for a time:
 * last_seq and last_at_us may be those of an earlier state, but one that had an
 * event later than at_us already if this one has.
 */
int index_find_book_at(struct index_reader *reader, struct bytes name, int64_t at_us, struct book_row *out)
    __attribute__((warn_unused_result));
int index_book_name(struct index_reader *reader, uint32_t book_no, struct bytes *out)
    __attribute__((warn_unused_result));
int index_find_account(struct index_reader *reader, uint32_t book_no, struct bytes path, struct account_value *out)
    __attribute__((warn_unused_result));
int index_find_asset(struct index_reader *reader, struct bytes id, uint32_t *asset_no)
    __attribute__((warn_unused_result));
int index_asset(struct index_reader *reader, uint32_t asset_no, struct asset_definition *out)
    __attribute__((warn_unused_result));

/* The last seq of the book whose at <= at_us; *seq is 0 when there is none. */
int index_seq_at(struct index_reader *reader, const struct book_row *book, int64_t at_us, uint64_t *seq)
    __attribute__((warn_unused_result));

/* The account's sums after its last posting with seq <= `seq`; all 0 when there is none. */
struct account_sums {
    u128 debits, credits;
    uint64_t updated_seq;
};
int index_account_at(struct index_reader *reader, uint32_t book_no, const struct account_value *account, uint64_t seq,
                     struct account_sums *out) __attribute__((warn_unused_result));

/*
 * Calls `each` for transactions on the account with seq > after_seq, ascending,
 * at most `limit` times, and no more once it has returned false. *exhausted:
 * fewer than `limit` were left, and `each` has had them all.
 */
typedef bool index_history_fn(void *context, const struct posting_row *row);
int index_history(struct index_reader *reader, uint32_t book_no, const struct account_value *account,
                  uint64_t after_seq, uint32_t limit, index_history_fn *each, void *context, bool *exhausted)
    __attribute__((warn_unused_result));

int index_event(struct index_reader *reader, uint32_t book_no, uint64_t seq, int64_t *at_us, struct event_place *out)
    __attribute__((warn_unused_result));
int index_transaction(struct index_reader *reader, struct uuid id, uint32_t *book_no, uint64_t *seq)
    __attribute__((warn_unused_result));

#endif
