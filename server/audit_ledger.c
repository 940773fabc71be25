#include "server/audit_ledger.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "common/exit_status.h"
#include "common/report.h"

#define KEY_ROOM_FIRST 4096

static void *must(void *p)
{
    if (!p)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory while verifying");
    return p;
}

/* --- making and finding --- */

struct audit_ledger *audit_ledger_create(void)
{
    struct audit_ledger *l = must(calloc(1, sizeof *l));
    l->memory = arena_create();
    l->scratch = arena_create();
    l->key_room = KEY_ROOM_FIRST;
    l->keys = must(calloc(l->key_room, sizeof *l->keys));
    return l;
}

static void free_book(struct audit_book *book)
{
    struct audit_account *account, *next_account;
    struct audit_sum *sum, *next_sum;
    HASH_ITER(hh, book->accounts, account, next_account)
    {
        HASH_DEL(book->accounts, account);
        free(account);
    }
    HASH_ITER(hh, book->sums, sum, next_sum)
    {
        HASH_DEL(book->sums, sum);
        free(sum);
    }
    free(book);
}

void audit_ledger_destroy(struct audit_ledger **ledger)
{
    struct audit_ledger *l = *ledger;
    struct audit_book *book, *next_book;
    struct audit_asset *asset, *next_asset;
    if (!l)
        return;
    HASH_ITER(hh, l->books, book, next_book)
    {
        HASH_DEL(l->books, book);
        free_book(book);
    }
    HASH_ITER(hh, l->assets, asset, next_asset)
    {
        HASH_DEL(l->assets, asset);
        free(asset);
    }
    free(l->keys);
    arena_destroy(&l->memory);
    arena_destroy(&l->scratch);
    buffer_free(&l->posted);
    free(l);
    *ledger = NULL;
}

static struct bytes keep(struct audit_ledger *l, struct bytes b)
{
    uint8_t *copy = arena_alloc(l->memory, b.len ? b.len : 1);
    if (b.len)
        memcpy(copy, b.base, b.len);
    return bytes_of(copy, b.len);
}

struct audit_book *audit_ledger_book(struct audit_ledger *l, struct bytes name)
{
    struct audit_book *book;
    HASH_FIND(hh, l->books, name.base, name.len, book);
    if (book)
        return book;
    book = must(calloc(1, sizeof *book));
    book->name = keep(l, name);
    book->book_no = ++l->book_count;
    HASH_ADD_KEYPTR(hh, l->books, book->name.base, book->name.len, book);
    return book;
}

static struct audit_asset *find_asset(struct audit_ledger *l, struct bytes id)
{
    struct audit_asset *asset;
    HASH_FIND(hh, l->assets, id.base, id.len, asset);
    return asset;
}

struct audit_asset *audit_ledger_add_asset(struct audit_ledger *l, struct bytes id, struct bytes packed)
{
    struct audit_asset *asset = must(calloc(1, sizeof *asset));
    asset->id = keep(l, id);
    asset->packed = keep(l, packed);
    asset->asset_no = ++l->asset_count;
    HASH_ADD_KEYPTR(hh, l->assets, asset->id.base, asset->id.len, asset);
    return asset;
}

static struct audit_account *find_account(struct audit_book *book, struct bytes path)
{
    struct audit_account *account;
    HASH_FIND(hh, book->accounts, path.base, path.len, account);
    return account;
}

struct audit_account *audit_ledger_add_account(struct audit_ledger *l, struct audit_book *book,
                                               const struct account_definition *definition)
{
    struct audit_asset *asset = find_asset(l, definition->asset);
    if (!asset)
        return NULL;
    struct audit_account *account = must(calloc(1, sizeof *account));
    account->rules = (struct ledger_account){
        .asset = asset->id,
        .asset_no = asset->asset_no,
        .normal_side = definition->normal_side,
        .has_min_balance = definition->has_min_balance,
        .min_balance = definition->min_balance,
    };
    account->account_no = ++l->account_count;
    account->kind = definition->kind;
    account->path = keep(l, definition->path);
    HASH_ADD_KEYPTR(hh, book->accounts, account->path.base, account->path.len, account);
    return account;
}

struct audit_sum *audit_book_sum(struct audit_book *book, uint32_t asset_no)
{
    struct audit_sum *sum;
    HASH_FIND(hh, book->sums, &asset_no, sizeof asset_no, sum);
    if (sum)
        return sum;
    sum = must(calloc(1, sizeof *sum));
    sum->asset_no = asset_no;
    HASH_ADD(hh, book->sums, asset_no, sizeof sum->asset_no, sum);
    return sum;
}

/* --- idempotency keys --- */

uint64_t audit_key_answer(uint64_t seq, int64_t at_us, struct uuid tx_id)
{
    struct key_value value = {seq, at_us, tx_id};
    return XXH3_64bits(&value, sizeof value);
}

static struct audit_key *key_place(struct audit_key *keys, uint64_t room, const uint64_t digest[static 2])
{
    for (uint64_t n = digest[0] & (room - 1);; n = (n + 1) & (room - 1))
        if (keys[n].position == 0 || (keys[n].digest[0] == digest[0] && keys[n].digest[1] == digest[1]))
            return &keys[n];
}

struct audit_key *audit_ledger_key(struct audit_ledger *l, const struct sha256 *digest)
{
    uint64_t half[2];
    memcpy(half, digest->octets, sizeof half);
    struct audit_key *key = key_place(l->keys, l->key_room, half);
    return key->position ? key : NULL;
}

static void grow_keys(struct audit_ledger *l)
{
    uint64_t room = 2 * l->key_room;
    struct audit_key *keys = must(calloc(room, sizeof *keys));
    for (uint64_t n = 0; n < l->key_room; n++)
        if (l->keys[n].position)
            *key_place(keys, room, l->keys[n].digest) = l->keys[n];
    free(l->keys);
    l->keys = keys;
    l->key_room = room;
}

/* False when the key is there already. */
static bool add_key(struct audit_ledger *l, const struct sha256 *digest, const struct event *event, uint64_t batch)
{
    if (4 * (l->key_count + 1) > 3 * l->key_room)
        grow_keys(l);
    struct audit_key key = {.answer = audit_key_answer(event->seq, event->at_us, event->tx_id), .position = batch};
    memcpy(key.digest, digest->octets, sizeof key.digest);
    struct audit_key *place = key_place(l->keys, l->key_room, key.digest);
    if (place->position)
        return false;
    *place = key;
    l->key_count++;
    return true;
}

/* --- events --- */

struct applying {
    struct audit_ledger *ledger;
    struct audit_book *book;
    const struct event *event;
    const struct audit_rows *rows;
    uint64_t batch;
    const char *why; /* what is wrong, if it is the event itself */
};

static int refuse(struct applying *a, const char *why)
{
    a->why = why;
    return EUCLEAN;
}

static int apply_asset(struct applying *a)
{
    struct asset_definition asset;
    struct verdict verdict;
    if (!bytes_equal(a->event->book, LEDGER_SYSTEM_BOOK))
        return refuse(a, "registers an asset in a book");
    if (asset_definition_unpack(a->event->body, &asset) != 0)
        return refuse(a, "is malformed");
    ledger_check_asset(&asset, &verdict);
    if (verdict.code != VERDICT_DONE)
        return refuse(a, "is an asset that the rules refuse");
    if (find_asset(a->ledger, asset.id))
        return refuse(a, "registers an asset once more");
    audit_ledger_add_asset(a->ledger, asset.id, a->event->body);
    return 0;
}

static int apply_account(struct applying *a)
{
    struct account_definition account;
    struct verdict verdict;
    if (account_definition_unpack(a->event->body, &account) != 0)
        return refuse(a, "is malformed");
    account.book = a->event->book;
    ledger_check_account(&account, &verdict);
    if (verdict.code != VERDICT_DONE)
        return refuse(a, "is an account that the rules refuse");
    if (find_account(a->book, account.path))
        return refuse(a, "opens an account once more");
    if (!audit_ledger_add_account(a->ledger, a->book, &account))
        return refuse(a, "opens an account of an asset that is not registered");
    return 0;
}

static struct ledger_account *find_for_rules(void *context, struct bytes book, struct bytes path)
{
    struct audit_account *account = find_account(context, path);
    (void)book;
    return account ? &account->rules : NULL;
}

static bool add_to_sum(struct audit_book *book, const struct ledger_account *account)
{
    struct audit_sum *sum = audit_book_sum(book, account->asset_no);
    return !__builtin_add_overflow(sum->debits, account->next_debits - account->debits, &sum->debits) &&
           !__builtin_add_overflow(sum->credits, account->next_credits - account->credits, &sum->credits);
}

/* A tail that is full becomes a block of the index, which must be there. */
static int add_to_tail(struct applying *a, struct audit_account *account)
{
    int error = 0;
    if (account->tail_count == POSTING_TAIL_MAX) {
        error = a->rows ? a->rows->block(a->rows->context, account->account_no, account->tail) : 0;
        account->blocked_seq = account->updated_seq;
        account->tail_count = 0;
        a->ledger->block_count++;
    }
    account->tail[account->tail_count++] = a->event->seq;
    account->updated_seq = a->event->seq;
    return error;
}

/* The account's sums after the draft. */
static int settle_account(struct applying *a, struct audit_account *account)
{
    if (!add_to_sum(a->book, &account->rules))
        return refuse(a, "overflows the sums of its book");
    account->rules.debits = account->rules.next_debits;
    account->rules.credits = account->rules.next_credits;
    return add_to_tail(a, account);
}

/* The draft's postings on one account, as entries in draft order. */
static uint32_t copy_entries(const struct draft *draft, struct ledger_account **accounts,
                             const struct ledger_account *account, uint8_t *entries)
{
    uint32_t count = 0;
    for (uint32_t i = account->first_posting; i < draft->posting_count; i++)
        if (accounts[i] == account)
            posting_entry_put(entries, count++, &draft->postings[i]);
    return count;
}

/* What the draft does to its accounts, and what the index says of that. */
static int settle_accounts(struct applying *a, const struct draft *draft, struct ledger_account **accounts)
{
    struct arena *scratch = a->ledger->scratch;
    struct posted_account *posted = arena_alloc(scratch, draft->posting_count * sizeof *posted);
    uint8_t *entries = arena_alloc(scratch, (size_t)draft->posting_count * POSTING_ENTRY_BYTES);
    uint32_t account_count = 0, entry_count = 0;
    for (uint32_t i = 0; i < draft->posting_count; i++) {
        struct audit_account *account = (struct audit_account *)accounts[i];
        if (account->rules.first_posting != i)
            continue;
        uint8_t *first = entries + (size_t)entry_count * POSTING_ENTRY_BYTES;
        posted[account_count] = (struct posted_account){
            .debits = account->rules.next_debits,
            .credits = account->rules.next_credits,
            .account_no = account->account_no,
            .posting_count = copy_entries(draft, accounts, &account->rules, first),
            .first_entry = entry_count,
        };
        entry_count += posted[account_count++].posting_count;
        int error = settle_account(a, account);
        if (error)
            return error;
    }
    posted_append(&a->ledger->posted, a->event->tx_id, posted, account_count, entries, entry_count);
    return 0;
}

static int apply_transaction(struct applying *a)
{
    struct draft draft;
    struct verdict verdict;
    struct audit_ledger *l = a->ledger;
    if (draft_unpack_body(a->event->body, l->scratch, &draft) != 0)
        return refuse(a, "is malformed");
    draft.book = a->event->book;
    struct sha256 digest = idempotency_digest(draft.book, draft.idempotency_key);
    if (!add_key(l, &digest, a->event, a->batch))
        return refuse(a, "has the idempotency key of an earlier one");
    ledger_check_draft(&draft, l->scratch, &verdict);
    if (verdict.code != VERDICT_POSTED)
        return refuse(a, verdict.code == VERDICT_UNBALANCED ? "does not balance" : "is a draft that the rules refuse");
    struct ledger_view view = {a->book, find_for_rules};
    struct ledger_account **accounts = arena_alloc(l->scratch, draft.posting_count * sizeof *accounts);
    ledger_judge(&draft, &view, accounts, &verdict);
    if (verdict.code != VERDICT_POSTED)
        return refuse(a, "is one that the ledger would have refused");
    int error = settle_accounts(a, &draft, accounts);
    struct transaction_row row = {.seq = a->event->seq, .book_no = a->book->book_no};
    l->transaction_count++;
    if (error == 0 && a->rows)
        error = a->rows->transaction(a->rows->context, a->event->tx_id, &row);
    return error;
}

static int apply(struct applying *a)
{
    const struct event *event = a->event;
    arena_reset(a->ledger->scratch);
    buffer_clear(&a->ledger->posted);
    a->book = audit_ledger_book(a->ledger, event->book);
    if (event->seq != a->book->last_seq + 1)
        return refuse(a, "does not follow the one before it in its book");
    if (event->at_us < a->book->last_at_us)
        return refuse(a, "is older than the one before it in its book");
    a->book->last_seq = event->seq;
    a->book->last_at_us = event->at_us;
    a->ledger->event_count++;
    switch (event->kind) {
    case EVENT_ASSET_REGISTERED:
        return apply_asset(a);
    case EVENT_ACCOUNT_OPENED:
        return apply_account(a);
    case EVENT_TRANSACTION_POSTED:
        return apply_transaction(a);
    }
    return refuse(a, "is of no known kind");
}

int audit_ledger_apply(struct audit_ledger *l, const char *path, uint64_t batch, uint64_t position,
                       struct bytes packed, const struct event *event, const struct audit_rows *rows,
                       struct fault *fault)
{
    struct applying a = {.ledger = l, .event = event, .rows = rows, .batch = batch};
    int error = apply(&a);
    if (a.why)
        return fault_set(fault,
                         "the log breaks the ledger's rules: %s, position %" PRIu64 ": the event with seq %" PRIu64
                         " of book %.*s %s; the files were altered or mixed: restore them from a backup",
                         path, position, event->seq, (int)event->book.len, (const char *)event->book.base, a.why);
    if (error == 0 && rows) {
        struct event_row row = {event->at_us, position, (uint32_t)packed.len, crc32c(0, packed.base, packed.len)};
        error = rows->event(rows->context, a.book->book_no, event->seq, &row, buffer_bytes(&l->posted));
    }
    return error;
}
