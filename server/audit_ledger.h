#ifndef TALEA_SERVER_AUDIT_LEDGER_H
#define TALEA_SERVER_AUDIT_LEDGER_H
/*
 * A second opinion on the ledger: everything that the events say, kept in
 * memory and built from them alone, with the rules of common/ledger.h applied
 * anew. talead verify holds it against the index and the spilled keys.
 *
 * Memory: some 50 to 90 bytes a transaction (its idempotency key), and some
 * 450 an account.
 */
#include <uthash.h>

#include "common/arena.h"
#include "common/event.h"
#include "common/index_schema.h"
#include "common/key_schema.h"
#include "common/ledger.h"
#include "common/posting_rows.h"
#include "server/log_tour.h"

struct audit_asset {
    uint32_t asset_no;
    struct bytes id;
    struct bytes packed; /* definition */
    UT_hash_handle hh;   /* by id */
};

struct audit_sum {
    uint32_t asset_no;
    u128 debits, credits;
    UT_hash_handle hh; /* by asset_no */
};

struct audit_account {
    struct ledger_account rules; /* first: the rules hand this back */
    uint64_t account_no;
    uint64_t updated_seq, blocked_seq;
    uint64_t tail[POSTING_TAIL_MAX]; /* its newest seqs, as they stand in the index */
    uint32_t tail_count;
    enum account_kind kind;
    struct bytes path;
    UT_hash_handle hh; /* by path */
};

struct audit_book {
    uint32_t book_no;
    uint64_t last_seq;
    int64_t last_at_us;
    struct bytes name;
    struct audit_account *accounts;
    struct audit_sum *sums;
    UT_hash_handle hh; /* by name */
};

/* One idempotency key, by the first half of its digest. */
struct audit_key {
    uint64_t digest[2];
    uint64_t answer;   /* a hash of seq, time and transaction id */
    uint64_t position; /* of its batch; the highest bit: it was met among the spilled ones */
};

struct audit_ledger {
    struct audit_book *books;
    struct audit_asset *assets;
    uint32_t book_count, asset_count;
    uint64_t account_count, event_count, transaction_count, block_count;
    struct audit_key *keys; /* open addressing; position 0: free */
    uint64_t key_count, key_room;
    struct arena *memory;  /* names and definitions, for good */
    struct arena *scratch; /* of one event */
    struct buffer posted; /* what the event's row in the index has behind it */
};

struct audit_ledger *audit_ledger_create(void);
void audit_ledger_destroy(struct audit_ledger **ledger);

/* What one event says must stand in the index. Rows are asked for while the event is applied. */
struct audit_rows {
    void *context;
    int (*event)(void *context, uint32_t book_no, uint64_t seq, const struct event_row *row, struct bytes posted);
    int (*transaction)(void *context, struct uuid id, const struct transaction_row *row);
    int (*block)(void *context, uint64_t account_no, const uint64_t seqs[static POSTING_TAIL_MAX]);
};

/*
 * Applies the next event of the log, which stands at `position` in the batch
 * at `batch`; `packed` is all of it. `rows` may be NULL. 0, or EUCLEAN with the fault set.
 */
int audit_ledger_apply(struct audit_ledger *ledger, const char *path, uint64_t batch, uint64_t position,
                       struct bytes packed, const struct event *event, const struct audit_rows *rows,
                       struct fault *fault) __attribute__((warn_unused_result));

/* NULL when it is not there. */
struct audit_key *audit_ledger_key(struct audit_ledger *ledger, const struct sha256 *digest);
uint64_t audit_key_answer(uint64_t seq, int64_t at_us, struct uuid tx_id);

/* Makes what a snapshot holds; for whoever begins there. NULL: the number is taken out of turn, or unknown. */
struct audit_book *audit_ledger_book(struct audit_ledger *ledger, struct bytes name); /* found or made */
struct audit_asset *audit_ledger_add_asset(struct audit_ledger *ledger, struct bytes id, struct bytes packed);
struct audit_account *audit_ledger_add_account(struct audit_ledger *ledger, struct audit_book *book,
                                               const struct account_definition *definition);
struct audit_sum *audit_book_sum(struct audit_book *book, uint32_t asset_no); /* found or made */

#endif
