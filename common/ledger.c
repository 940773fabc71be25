#include "common/ledger.h"

/*
 * A draft's form first (ledger_check_draft: needs nobody), then its place in
 * the ledger (ledger_judge: asks for accounts). Both stop at the first thing
 * that is wrong, in the order that the wire contract fixes.
 */
#include <string.h>

#include <xxhash.h>

bool ledger_book_is_reserved(struct bytes book)
{
    return book.len > 0 && book.base[0] == '_';
}

static void refuse(struct verdict *out, enum invalid_reason reason)
{
    *out = (struct verdict){.code = VERDICT_INVALID_DRAFT, .reason = (uint8_t)reason};
}

static enum invalid_reason check_book(struct bytes book)
{
    if (book.len == 0)
        return INVALID_BOOK_EMPTY;
    return ledger_book_is_reserved(book) ? INVALID_BOOK_RESERVED : INVALID_NONE;
}

/* --- the form of a transaction --- */

#define FEW_POSTINGS 8

/* What a draft debits and credits in one asset. */
struct asset_total {
    struct bytes asset;
    uint32_t first_posting;
    int64_t debits, credits;
};

/*
 * Few postings hold few assets, which are looked through. For many there is a
 * table: open addressing, at most half full; hashing is seeded, since asset
 * names are the client's.
 */
struct asset_totals {
    struct asset_total *entries; /* in the order of first appearance */
    uint32_t count;
    uint32_t *table; /* entry number + 1; 0: free; NULL: the postings are few */
    uint32_t mask;
};

static uint64_t hash_seed(void)
{
    static uint64_t seed;
    if (seed == 0) {
        random_fill(&seed, sizeof seed);
        seed |= 1;
    }
    return seed;
}

static void totals_init(struct asset_totals *totals, uint32_t posting_count, struct arena *arena)
{
    *totals = (struct asset_totals){.entries = arena_alloc(arena, posting_count * sizeof *totals->entries)};
    if (posting_count <= FEW_POSTINGS)
        return;
    uint32_t places = 2 * FEW_POSTINGS;
    while (places < 2 * (uint64_t)posting_count)
        places *= 2;
    totals->table = arena_alloc(arena, places * sizeof *totals->table);
    memset(totals->table, 0, places * sizeof *totals->table);
    totals->mask = places - 1;
}

static struct asset_total *add_total(struct asset_totals *totals, struct bytes asset, uint32_t posting)
{
    struct asset_total *total = &totals->entries[totals->count++];
    *total = (struct asset_total){.asset = asset, .first_posting = posting};
    return total;
}

static struct asset_total *total_of_few(struct asset_totals *totals, struct bytes asset, uint32_t posting)
{
    for (uint32_t i = 0; i < totals->count; i++)
        if (bytes_equal(totals->entries[i].asset, asset))
            return &totals->entries[i];
    return add_total(totals, asset, posting);
}

static struct asset_total *total_of(struct asset_totals *totals, struct bytes asset, uint32_t posting)
{
    if (!totals->table)
        return total_of_few(totals, asset, posting);
    uint32_t place = (uint32_t)XXH3_64bits_withSeed(asset.base, asset.len, hash_seed()) & totals->mask;
    for (; totals->table[place]; place = (place + 1) & totals->mask) {
        struct asset_total *total = &totals->entries[totals->table[place] - 1];
        if (bytes_equal(total->asset, asset))
            return total;
    }
    struct asset_total *total = add_total(totals, asset, posting);
    totals->table[place] = totals->count;
    return total;
}

/* Adds one posting up; false when it is refused. */
static bool check_posting(const struct posting *posting, uint32_t i, struct asset_totals *totals, struct verdict *out)
{
    struct asset_total *total = total_of(totals, posting->asset, i);
    int64_t *sum = posting->direction == DIRECTION_DEBIT ? &total->debits : &total->credits;
    if (posting->minor <= 0 || __builtin_add_overflow(*sum, posting->minor, sum)) {
        *out = (struct verdict){.code = VERDICT_INVALID_AMOUNT, .posting = i, .a = posting->minor};
        return false;
    }
    if (posting->account.len == 0) {
        refuse(out, INVALID_POSTING_ACCOUNT_EMPTY);
        return false;
    }
    return true;
}

static enum invalid_reason check_names(const struct draft *draft)
{
    enum invalid_reason reason = check_book(draft->book);
    if (reason == INVALID_NONE && draft->idempotency_key.len == 0)
        reason = INVALID_KEY_EMPTY;
    if (reason == INVALID_NONE && draft->posting_count == 0)
        reason = INVALID_POSTINGS_EMPTY;
    return reason;
}

void ledger_check_draft(const struct draft *draft, struct arena *arena, struct verdict *out)
{
    struct asset_totals totals;
    enum invalid_reason reason = check_names(draft);
    if (reason != INVALID_NONE) {
        refuse(out, reason);
        return;
    }
    totals_init(&totals, draft->posting_count, arena);
    for (uint32_t i = 0; i < draft->posting_count; i++)
        if (!check_posting(&draft->postings[i], i, &totals, out))
            return;
    for (uint32_t i = 0; i < totals.count; i++) {
        const struct asset_total *total = &totals.entries[i];
        if (total->debits == total->credits)
            continue;
        *out = (struct verdict){
            .code = VERDICT_UNBALANCED,
            .posting = total->first_posting,
            .a = total->debits,
            .b = total->credits,
        };
        return;
    }
    if ((uint64_t)draft->book.len * draft->posting_count > LEDGER_BOOK_REPEATED_MAX)
        refuse(out, INVALID_POSTINGS_TOO_MANY);
    else
        *out = (struct verdict){.code = VERDICT_POSTED};
}

/* --- assets and accounts --- */

void ledger_check_asset(const struct asset_definition *asset, struct verdict *out)
{
    enum invalid_reason reason = INVALID_NONE;
    if (asset->id.len == 0)
        reason = INVALID_ASSET_ID_EMPTY;
    else if (asset->class == ASSET_CLASS_FIAT && (asset->has_network || asset->has_native_id))
        reason = INVALID_ASSET_FIAT_NETWORK;
    else if (asset->class == ASSET_CLASS_CRYPTO && !asset->has_network)
        reason = INVALID_ASSET_CRYPTO_NETWORK;
    if (reason == INVALID_NONE)
        *out = (struct verdict){.code = VERDICT_DONE};
    else
        refuse(out, reason);
}

void ledger_check_account(const struct account_definition *account, struct verdict *out)
{
    enum invalid_reason reason = check_book(account->book);
    if (reason == INVALID_NONE && account->path.len == 0)
        reason = INVALID_PATH_EMPTY;
    if (reason == INVALID_NONE)
        *out = (struct verdict){.code = VERDICT_DONE};
    else
        refuse(out, reason);
}

/* --- the place of a transaction in the ledger --- */

i128 ledger_balance(enum normal_side side, u128 debits, u128 credits)
{
    /* Fewer than 2^64 amounts below 2^63 stay far below 2^127; unsigned, since a damaged index may hold more. */
    return (i128)(side == NORMAL_SIDE_CREDIT ? credits - debits : debits - credits);
}

static bool fits_i64(i128 value)
{
    return value >= INT64_MIN && value <= INT64_MAX;
}

/* Every posting's account, in order; false at the first that is not there or holds another asset. */
static bool find_accounts(const struct draft *draft, const struct ledger_view *view, struct ledger_account **accounts,
                          struct verdict *out)
{
    for (uint32_t i = 0; i < draft->posting_count; i++) {
        const struct posting *posting = &draft->postings[i];
        accounts[i] = view->find(view->context, draft->book, posting->account);
        if (!accounts[i]) {
            *out = (struct verdict){.code = VERDICT_UNKNOWN_ACCOUNT, .posting = i};
            return false;
        }
        if (!bytes_equal(accounts[i]->asset, posting->asset)) {
            *out = (struct verdict){
                .code = VERDICT_ASSET_MISMATCH,
                .posting = i,
                .asset_no = accounts[i]->asset_no,
            };
            return false;
        }
    }
    return true;
}

/* Adds one posting to its account's next sums; false when its own balance would leave the i64 range. */
static bool add_posting(const struct posting *posting, struct ledger_account *account, uint32_t i)
{
    if (!account->touched) {
        account->touched = true;
        account->first_posting = i;
        account->next_debits = account->debits;
        account->next_credits = account->credits;
    }
    u128 *sum = posting->direction == DIRECTION_DEBIT ? &account->next_debits : &account->next_credits;
    if (__builtin_add_overflow(*sum, (u128)posting->minor, sum))
        return false;
    return fits_i64(ledger_balance(account->normal_side, account->next_debits, account->next_credits));
}

/* After the whole transaction: is any touched account below its minimum? In the order of first touch. */
static bool check_minimums(const struct draft *draft, struct ledger_account **accounts, struct verdict *out)
{
    for (uint32_t i = 0; i < draft->posting_count; i++) {
        const struct ledger_account *account = accounts[i];
        if (account->first_posting != i || !account->has_min_balance)
            continue;
        i128 balance = ledger_balance(account->normal_side, account->next_debits, account->next_credits);
        if (balance >= account->min_balance)
            continue;
        *out = (struct verdict){
            .code = VERDICT_CONSTRAINT,
            .posting = i,
            .a = account->min_balance,
            .b = (int64_t)balance, /* add_posting has seen that it fits */
        };
        return false;
    }
    return true;
}

void ledger_judge(const struct draft *draft, const struct ledger_view *view, struct ledger_account **accounts,
                  struct verdict *out)
{
    if (!find_accounts(draft, view, accounts, out))
        return;
    bool good = true;
    for (uint32_t i = 0; good && i < draft->posting_count; i++) {
        good = add_posting(&draft->postings[i], accounts[i], i);
        if (!good)
            *out = (struct verdict){
                .code = VERDICT_INVALID_AMOUNT,
                .posting = i,
                .a = draft->postings[i].minor,
            };
    }
    if (good && check_minimums(draft, accounts, out))
        *out = (struct verdict){.code = VERDICT_POSTED};
    for (uint32_t i = 0; i < draft->posting_count; i++)
        accounts[i]->touched = false;
}
