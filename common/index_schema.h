#ifndef TALEA_COMMON_INDEX_SCHEMA_H
#define TALEA_COMMON_INDEX_SCHEMA_H
/*
 * The index: one LMDB environment in <dir>/index, derived from the log. Its
 * tables, keys and values; talea-log(5) describes them. Keys are big-endian so
 * that they sort; values are little-endian and fixed, except where a name follows.
 *
 *   meta          "state"                      -> struct index_meta
 *   assets        name key of the id           -> u32 asset_no
 *   asset_by_no   asset_no BE4                 -> packed asset (draft.h)
 *   books         name key of the name         -> struct book_row
 *   book_by_no    book_no BE4                  -> name
 *   accounts      book_no BE4, name key        -> struct account_row, the seqs of its newest postings (posting_rows.h),
 *                                                 and the path where the key holds only its SHA-256
 *   postings      account_no BE8, first seq BE8 -> seqs of older postings on the account, POSTING_TAIL_MAX of u64
 *   events        book_no BE4, seq BE8         -> struct event_row, and of a transaction what it did to its accounts
 *   transactions  tx_id 16                     -> struct transaction_row
 *   sums          book_no BE4, asset_no BE4    -> struct sum_row
 *
 * Name key: LMDB takes keys up to 511 bytes, names are of any length. A name
 * of up to 255 bytes is 0x00 and itself; a longer one is 0x01 and its SHA-256.
 * Numbers (asset_no, book_no, account_no) count first appearances in the log
 * from 1, so an index that is rebuilt has the same ones.
 */
#include <stdint.h>

#include "common/bytes.h"
#include "common/decimal.h"
#include "common/digest.h"
#include "common/draft.h"
#include "common/uuid7.h"

#define INDEX_VERSION 2
#define NAME_KEY_MAX 256
#define POSTING_TAIL_MAX 16

enum index_table {
    TABLE_META,
    TABLE_ASSETS,
    TABLE_ASSET_BY_NO,
    TABLE_BOOKS,
    TABLE_BOOK_BY_NO,
    TABLE_ACCOUNTS,
    TABLE_POSTINGS,
    TABLE_EVENTS,
    TABLE_TRANSACTIONS,
    TABLE_SUMS,
};
#define INDEX_TABLE_COUNT 10
extern const char *const index_table_names[INDEX_TABLE_COUNT];

struct index_meta {
    uint32_t version; /* INDEX_VERSION */
    uint32_t asset_count;
    uint32_t book_count;
    uint32_t reserved;
    uint64_t account_count;
    uint64_t event_count;
    uint64_t position;   /* end of the last batch that is in the index */
    uint64_t next_batch; /* number of the batch that follows */
    struct sha256 chain; /* chain value at position */
    struct uuid ledger;
};
_Static_assert(sizeof(struct index_meta) == 96, "file format");
/* Can it be read, and is it this ledger's? 0, EPROTO or EUCLEAN; and what these, or an errno met instead, say of it. */
int index_meta_check(const struct index_meta *meta, struct uuid ledger);
const char *index_error_text(int error);

struct book_row {
    uint32_t book_no;
    uint32_t reserved;
    uint64_t last_seq;
    int64_t last_at_us;
};
_Static_assert(sizeof(struct book_row) == 24, "file format");

struct account_row {
    u128 debits; /* sums of all postings */
    u128 credits;
    uint64_t account_no;
    uint64_t updated_seq; /* of the last posting; 0: none */
    uint64_t blocked_seq; /* of the last posting in a block; 0: none */
    int64_t min_balance;
    uint32_t asset_no;
    uint8_t kind;        /* enum account_kind */
    uint8_t normal_side; /* enum normal_side */
    uint8_t has_min_balance;
    uint8_t reserved;
    uint32_t tail_count; /* of postings behind that; their seqs follow */
    uint32_t reserved_too;
};
_Static_assert(sizeof(struct account_row) == 80, "file format");

struct event_row {
    int64_t at_us;
    uint64_t position; /* struct event_place of log_reader.h */
    uint32_t length;
    uint32_t crc;
};
_Static_assert(sizeof(struct event_row) == 24, "file format");

struct transaction_row {
    uint64_t seq;
    uint32_t book_no;
    uint32_t reserved;
};
_Static_assert(sizeof(struct transaction_row) == 16, "file format");

struct sum_row {
    u128 debits;
    u128 credits;
};
_Static_assert(sizeof(struct sum_row) == 32, "file format");

/* Keys; each returns the length. */
size_t name_key(struct bytes name, uint8_t out[static NAME_KEY_MAX]);
size_t number_key(uint32_t number, uint8_t out[static 4]);
size_t account_table_key(uint32_t book_no, struct bytes path, uint8_t out[static 4 + NAME_KEY_MAX]);
size_t posting_table_key(uint64_t account_no, uint64_t seq, uint8_t out[static 16]);
size_t event_table_key(uint32_t book_no, uint64_t seq, uint8_t out[static 12]);
size_t sum_table_key(uint32_t book_no, uint32_t asset_no, uint8_t out[static 8]);
uint32_t key_u32(const uint8_t *p);
uint64_t key_u64(const uint8_t *p);

#endif
