#ifndef TALEA_COMMON_LEDGER_H
#define TALEA_COMMON_LEDGER_H
/*
 * The ledger's rules, all of them: what a draft must be, where a posting may
 * go, what balance an account may have. This module knows neither the index
 * nor the log nor the ring: it asks for an account and says what to write.
 *
 * ledger_check_* need nothing but the draft; a worker calls them before it
 * bothers the arbiter, and the arbiter calls them again, since it trusts
 * nothing that comes over a ring. ledger_judge is the arbiter's alone.
 */
#include "common/decimal.h"
#include "common/draft.h"
#include "common/verdict.h"

/* What the rules know of one account. Owned by whoever answers `find`. */
struct ledger_account {
    struct bytes asset;
    uint32_t asset_no;
    enum normal_side normal_side;
    bool has_min_balance;
    int64_t min_balance;
    u128 debits;  /* sums of all postings so far */
    u128 credits;
    u128 next_debits; /* the same once the draft just judged VERDICT_POSTED is applied */
    u128 next_credits;
    uint32_t first_posting; /* within the draft being judged */
    bool touched;           /* by the draft being judged; false between drafts */
};

struct ledger_view {
    void *context;
    /* The account, or NULL when there is none. The same pointer for the same account, until the draft is judged. */
    struct ledger_account *(*find)(void *context, struct bytes book, struct bytes path);
};

/* Each fills in code = VERDICT_POSTED (draft) or VERDICT_DONE when nothing is wrong, else what is refused. */
void ledger_check_draft(const struct draft *draft, struct arena *arena, struct verdict *out);
void ledger_check_asset(const struct asset_definition *asset, struct verdict *out);
void ledger_check_account(const struct account_definition *account, struct verdict *out);

/*
 * Judges a draft that ledger_check_draft has passed against the accounts.
 * On VERDICT_POSTED, accounts[i] is the account of posting i (room for
 * posting_count pointers) with next_debits and next_credits set; nothing else
 * has changed, so a refusal leaves no trace. seq, at and tx_id are the caller's to give.
 */
void ledger_judge(const struct draft *draft, const struct ledger_view *view, struct ledger_account **accounts,
                  struct verdict *out);

/* Debits minus credits, or its negation where the normal side is credit. */
i128 ledger_balance(enum normal_side side, u128 debits, u128 credits);

bool ledger_book_is_reserved(struct bytes book);

/*
 * Length of the book's name times the number of postings: whoever shows a
 * transaction repeats the name in each posting, while the draft says it once.
 * A draft of 2 MiB could so become an event of many GiB that nobody can carry.
 * No name of less than 480 bytes comes near it.
 */
#define LEDGER_BOOK_REPEATED_MAX (UINT64_C(16) << 20)

#define LEDGER_SYSTEM_BOOK BYTES_LITERAL("_system")

#endif
