#ifndef TALEA_COMMON_POSTING_ROWS_H
#define TALEA_COMMON_POSTING_ROWS_H
/*
 * Where the index has postings. A transaction's row in `events` says what it
 * did to each of its accounts; an account knows the seqs of the transactions
 * that did anything to it: the newest ones, its tail, lie behind its row in
 * `accounts`, and a tail that is full becomes a block, one row of `postings`.
 *
 * So where hardly two posts share an account, a posting dirties the page of the
 * account's row, which changes in any case, and that of a block every 16th
 * time. In a table of postings by account each would dirty a page of its own,
 * with the branches over it, and that is more than a disk can carry beside the
 * log's syncs.
 */
#include <stdbool.h>

#include "common/buffer.h"
#include "common/index_schema.h"

/* --- what a transaction did --- */

/* To one account. */
struct posted_account {
    u128 debits, credits; /* sums of the account after it */
    uint64_t account_no;
    uint32_t posting_count;
    uint32_t first_entry; /* place of its first one among the transaction's entries */
};
_Static_assert(sizeof(struct posted_account) == 48, "file format");

/*
 * Appends what lies behind struct event_row: transaction id 16, count u32, the
 * accounts by account_no (they are sorted), and all entries, of
 * POSTING_ENTRY_BYTES each: minor i64, direction u8.
 */
#define POSTING_ENTRY_BYTES 9
void posted_append(struct buffer *value, struct uuid tx_id, struct posted_account *accounts, uint32_t count,
                   const uint8_t *entries, uint32_t entry_count);

/* One transaction's postings on one account. */
struct posting_row {
    uint64_t seq;
    int64_t at_us;
    struct uuid tx_id;
    u128 debits, credits; /* sums of the account after it */
    uint32_t posting_count;
    const uint8_t *entries; /* that many, in the order of the draft */
};

/*
 * From the row of `events` of that seq, into which the entries point. ENOENT
 * when the transaction did nothing to the account; EIO when the row is malformed.
 */
int posted_find(struct bytes event, uint64_t seq, uint64_t account_no, struct posting_row *out)
    __attribute__((warn_unused_result));

/* One of them, by its place: written, and read. */
void posting_entry_put(uint8_t *entries, uint32_t i, const struct posting *posting);
void posting_entry(const uint8_t *entries, uint32_t i, int64_t *minor, enum direction *direction);

/* --- what was done to an account --- */

/* A value of `accounts`, taken apart. */
struct account_value {
    struct account_row row;
    struct bytes tail; /* row.tail_count seqs, ascending */
    struct bytes path; /* where the key holds only its SHA-256 */
};
int account_value_read(struct bytes value, struct account_value *out) __attribute__((warn_unused_result));

/* Seqs as they lie in a tail or a block: u64, ascending. */
static inline size_t seq_count(struct bytes seqs)
{
    return seqs.len / sizeof(uint64_t);
}

static inline uint64_t seq_at(struct bytes seqs, size_t i)
{
    uint64_t seq;
    memcpy(&seq, seqs.base + i * sizeof seq, sizeof seq);
    return seq;
}

/* The last of them that is <= `seq`; 0: there is none. */
uint64_t seq_until(struct bytes seqs, uint64_t seq);

#endif
