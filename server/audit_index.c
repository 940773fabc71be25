#include "server/audit_index.h"

/* Rows are compared as bytes: the index's writer and this file both follow index_schema.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/data_dir.h"
#include "common/snapshot_file.h"

#define SPILLED_SEEN (1ull << 63)

/* --- rows --- */

static int wrong(struct audit_index *a, const char *table, const char *what, uint64_t number, uint64_t seq)
{
    return fault_set(a->fault,
                     "the index differs from the log: table %s, %s %" PRIu64 ", seq %" PRIu64 "; talead reindex %s makes "
                     "it anew",
                     table, what, number, seq, a->data_dir);
}

/* Is the row there, and made of these two parts? */
static bool row_is(struct audit_index *a, enum index_table table, const void *key, size_t key_len, const void *first,
                   size_t first_len, struct bytes second)
{
    struct bytes value;
    return index_row(a->reader, table, key, key_len, &value) == 0 && value.len == first_len + second.len &&
           (first_len == 0 || memcmp(value.base, first, first_len) == 0) &&
           (second.len == 0 || memcmp(value.base + first_len, second.base, second.len) == 0);
}

static const struct bytes nothing;

static int check_event(void *context, uint32_t book_no, uint64_t seq, const struct event_row *row, struct bytes posted)
{
    struct audit_index *a = context;
    uint8_t key[12];
    size_t n = event_table_key(book_no, seq, key);
    return row_is(a, TABLE_EVENTS, key, n, row, sizeof *row, posted) ? 0 : wrong(a, "events", "book", book_no, seq);
}

static int check_transaction(void *context, struct uuid id, const struct transaction_row *row)
{
    struct audit_index *a = context;
    bool good = row_is(a, TABLE_TRANSACTIONS, id.octets, sizeof id.octets, row, sizeof *row, nothing);
    return good ? 0 : wrong(a, "transactions", "book", row->book_no, row->seq);
}

static int check_block(void *context, uint64_t account_no, const uint64_t seqs[static POSTING_TAIL_MAX])
{
    struct audit_index *a = context;
    uint8_t key[16];
    size_t n = posting_table_key(account_no, seqs[0], key);
    bool good = row_is(a, TABLE_POSTINGS, key, n, seqs, POSTING_TAIL_MAX * sizeof *seqs, nothing);
    return good ? 0 : wrong(a, "postings", "account", account_no, seqs[0]);
}

struct audit_rows audit_index_rows(struct audit_index *a)
{
    return (struct audit_rows){a, check_event, check_transaction, check_block};
}

/* --- what changes --- */

static int compare_account(struct audit_index *a, const struct audit_book *book, const struct audit_account *account)
{
    const struct ledger_account *rules = &account->rules;
    struct account_row row = {
        .debits = rules->debits,
        .credits = rules->credits,
        .account_no = account->account_no,
        .updated_seq = account->updated_seq,
        .blocked_seq = account->blocked_seq,
        .min_balance = rules->min_balance,
        .asset_no = rules->asset_no,
        .kind = (uint8_t)account->kind,
        .normal_side = (uint8_t)rules->normal_side,
        .has_min_balance = rules->has_min_balance,
        .tail_count = account->tail_count,
    };
    uint8_t key[4 + NAME_KEY_MAX];
    size_t n = account_table_key(book->book_no, account->path, key);
    struct bytes value, tail = bytes_of(account->tail, account->tail_count * sizeof *account->tail);
    struct account_value found;
    bool good = index_row(a->reader, TABLE_ACCOUNTS, key, n, &value) == 0 && account_value_read(value, &found) == 0 &&
                memcmp(&found.row, &row, sizeof row) == 0 && bytes_equal(found.tail, tail) &&
                bytes_equal(found.path, key[4] ? account->path : nothing);
    return good ? 0 : wrong(a, "accounts", "account", account->account_no, account->updated_seq);
}

static int compare_book(struct audit_index *a, const struct audit_book *book, uint64_t *sums)
{
    struct book_row row = {.book_no = book->book_no, .last_seq = book->last_seq, .last_at_us = book->last_at_us};
    uint8_t key[NAME_KEY_MAX];
    size_t n = name_key(book->name, key);
    if (!row_is(a, TABLE_BOOKS, key, n, &row, sizeof row, nothing))
        return wrong(a, "books", "book", book->book_no, book->last_seq);
    n = number_key(book->book_no, key);
    if (!row_is(a, TABLE_BOOK_BY_NO, key, n, NULL, 0, book->name))
        return wrong(a, "book_by_no", "book", book->book_no, book->last_seq);
    for (const struct audit_sum *sum = book->sums; sum; sum = sum->hh.next, ++*sums) {
        struct sum_row expected = {sum->debits, sum->credits};
        n = sum_table_key(book->book_no, sum->asset_no, key);
        if (!row_is(a, TABLE_SUMS, key, n, &expected, sizeof expected, nothing))
            return wrong(a, "sums", "book", book->book_no, book->last_seq);
    }
    int error = 0;
    for (const struct audit_account *account = book->accounts; error == 0 && account; account = account->hh.next)
        error = compare_account(a, book, account);
    return error;
}

static int compare_asset(struct audit_index *a, const struct audit_asset *asset)
{
    uint8_t key[NAME_KEY_MAX];
    size_t n = name_key(asset->id, key);
    bool good = row_is(a, TABLE_ASSETS, key, n, &asset->asset_no, sizeof asset->asset_no, nothing);
    n = number_key(asset->asset_no, key);
    good = good && row_is(a, TABLE_ASSET_BY_NO, key, n, NULL, 0, asset->packed);
    return good ? 0 : wrong(a, "assets", "asset", asset->asset_no, 0);
}

static int compare_counts(struct audit_index *a, const struct audit_ledger *l, uint64_t sums)
{
    const uint64_t expected[INDEX_TABLE_COUNT] = {
        [TABLE_META] = 1,
        [TABLE_ASSETS] = l->asset_count,
        [TABLE_ASSET_BY_NO] = l->asset_count,
        [TABLE_BOOKS] = l->book_count,
        [TABLE_BOOK_BY_NO] = l->book_count,
        [TABLE_ACCOUNTS] = l->account_count,
        [TABLE_POSTINGS] = l->block_count,
        [TABLE_EVENTS] = l->event_count,
        [TABLE_TRANSACTIONS] = l->transaction_count,
        [TABLE_SUMS] = sums,
    };
    for (int i = 0; i < INDEX_TABLE_COUNT; i++) {
        uint64_t count;
        int error = index_row_count(a->reader, (enum index_table)i, &count);
        if (error)
            return fault_set(a->fault, "cannot read the index: %s; talead reindex %s makes it anew", strerror(error),
                             a->data_dir);
        if (count != expected[i])
            return fault_set(a->fault,
                             "the index differs from the log: table %s has %" PRIu64 " rows, the log makes %" PRIu64
                             "; talead reindex %s makes it anew",
                             index_table_names[i], count, expected[i], a->data_dir);
    }
    return 0;
}

int audit_index_compare(struct audit_index *a, const struct audit_ledger *l)
{
    uint64_t sums = 0;
    int error = 0;
    for (const struct audit_asset *asset = l->assets; error == 0 && asset; asset = asset->hh.next)
        error = compare_asset(a, asset);
    for (const struct audit_book *book = l->books; error == 0 && book; book = book->hh.next)
        error = compare_book(a, book, &sums);
    return error ? error : compare_counts(a, l, sums);
}

/* --- snapshots --- */

struct loading {
    struct audit_ledger *ledger;
    struct audit_book **books; /* by number - 1 */
    struct audit_asset **assets;
    struct index_reader *reader;
};

static int load_asset(void *context, struct bytes key, struct bytes value)
{
    struct loading *l = context;
    struct asset_definition asset;
    if (key.len != 4 || asset_definition_unpack(value, &asset) != 0 || key_u32(key.base) != l->ledger->asset_count + 1)
        return EBADMSG;
    l->assets[l->ledger->asset_count] = audit_ledger_add_asset(l->ledger, asset.id, value);
    return 0;
}

static int load_book(void *context, struct bytes key, struct bytes value)
{
    struct loading *l = context;
    struct book_row row;
    if (key.len != 4 || key_u32(key.base) != l->ledger->book_count + 1 || index_find_book(l->reader, value, &row) != 0 ||
        row.book_no != key_u32(key.base))
        return EBADMSG;
    struct audit_book *book = audit_ledger_book(l->ledger, value);
    book->last_seq = row.last_seq;
    book->last_at_us = row.last_at_us;
    l->books[book->book_no - 1] = book;
    return 0;
}

static int load_account(void *context, struct bytes key, struct bytes value)
{
    struct loading *l = context;
    struct account_value found;
    if (key.len < 5 || account_value_read(value, &found) != 0)
        return EBADMSG;
    const struct account_row row = found.row;
    uint32_t book_no = key_u32(key.base);
    if (book_no == 0 || book_no > l->ledger->book_count || row.asset_no == 0 || row.asset_no > l->ledger->asset_count)
        return EBADMSG;
    struct account_definition definition = {
        .path = key.base[4] ? found.path : bytes_of(key.base + 5, key.len - 5),
        .asset = l->assets[row.asset_no - 1]->id,
        .kind = row.kind,
        .normal_side = row.normal_side,
        .has_min_balance = row.has_min_balance,
        .min_balance = row.min_balance,
    };
    struct audit_account *account = audit_ledger_add_account(l->ledger, l->books[book_no - 1], &definition);
    account->account_no = row.account_no;
    account->updated_seq = row.updated_seq;
    account->blocked_seq = row.blocked_seq;
    account->tail_count = row.tail_count;
    memcpy(account->tail, found.tail.base, found.tail.len);
    account->rules.debits = row.debits;
    account->rules.credits = row.credits;
    return 0;
}

static int load_sum(void *context, struct bytes key, struct bytes value)
{
    struct loading *l = context;
    struct sum_row row;
    if (key.len != 8 || value.len != sizeof row || key_u32(key.base) - 1 >= l->ledger->book_count)
        return EBADMSG;
    memcpy(&row, value.base, sizeof row);
    struct audit_sum *sum = audit_book_sum(l->books[key_u32(key.base) - 1], key_u32(key.base + 4));
    sum->debits = row.debits;
    sum->credits = row.credits;
    return 0;
}

static int load_tables(struct loading *l, const struct index_meta *meta)
{
    l->books = calloc(meta->book_count + 1, sizeof *l->books);
    l->assets = calloc(meta->asset_count + 1, sizeof *l->assets);
    int error = l->books && l->assets ? 0 : ENOMEM;
    uint64_t assets = 0, books = 0;
    if (error == 0)
        error = index_row_count(l->reader, TABLE_ASSET_BY_NO, &assets);
    if (error == 0)
        error = index_row_count(l->reader, TABLE_BOOK_BY_NO, &books);
    if (error == 0 && (assets != meta->asset_count || books != meta->book_count))
        error = EBADMSG;
    if (error == 0)
        error = index_each_row(l->reader, TABLE_ASSET_BY_NO, BYTES_LITERAL(""), load_asset, l);
    if (error == 0)
        error = index_each_row(l->reader, TABLE_BOOK_BY_NO, BYTES_LITERAL(""), load_book, l);
    if (error == 0)
        error = index_each_row(l->reader, TABLE_ACCOUNTS, BYTES_LITERAL(""), load_account, l);
    if (error == 0)
        error = index_each_row(l->reader, TABLE_SUMS, BYTES_LITERAL(""), load_sum, l);
    if (error == 0)
        error = index_row_count(l->reader, TABLE_POSTINGS, &l->ledger->block_count);
    if (error == 0)
        error = index_row_count(l->reader, TABLE_TRANSACTIONS, &l->ledger->transaction_count);
    l->ledger->event_count = meta->event_count;
    free(l->books);
    free(l->assets);
    return error;
}

int audit_snapshot_load(const char *file, struct audit_ledger *ledger, struct log_mark *mark, struct fault *fault)
{
    struct snapshot_trailer trailer;
    struct index_meta meta;
    struct loading l = {.ledger = ledger};
    int held; /* so that a server that removes it leaves what is mapped */
    int error = snapshot_check(file, &trailer, &held);
    if (error == 0)
        error = index_reader_open_snapshot(file, &l.reader);
    if (error == 0)
        error = index_reader_begin(l.reader, 0);
    if (error == 0) {
        error = index_reader_meta(l.reader, &meta);
        if (error == 0 && meta.version != INDEX_VERSION)
            error = EPROTO;
        if (error == 0 && meta.position != trailer.position)
            error = EBADMSG;
        if (error == 0)
            error = load_tables(&l, &meta);
        index_reader_end(l.reader);
        *mark = (struct log_mark){meta.position, meta.next_batch, meta.chain, meta.ledger};
    }
    index_reader_close(&l.reader);
    if (held >= 0)
        close(held);
    if (error)
        return fault_set(fault, "snapshot %s cannot be used: %s", file, index_error_text(error));
    return 0;
}

/* --- spilled keys --- */

static int keys_wrong(const char *data_dir, struct fault *fault, const char *what, uint64_t seq)
{
    return fault_set(fault,
                     "the spilled idempotency keys differ from the log: %s (seq %" PRIu64 "); talead reindex %s makes "
                     "them anew",
                     what, seq, data_dir);
}

static int compare_key(struct audit_ledger *ledger, const struct spilled_key *spilled,
                       const struct key_reader_state *state, const char *data_dir, uint64_t from, struct fault *fault)
{
    struct audit_key *key = audit_ledger_key(ledger, &spilled->digest);
    if (!key)
        return from ? 0 : keys_wrong(data_dir, fault, "there is a key that no event has", spilled->seq);
    if (key->answer != audit_key_answer(spilled->seq, spilled->at_us, spilled->tx_id))
        return keys_wrong(data_dir, fault, "a key has another event's answer", spilled->seq);
    if (key->position & SPILLED_SEEN)
        return keys_wrong(data_dir, fault, "a key is there twice", spilled->seq);
    if (key->position >= state->position)
        return keys_wrong(data_dir, fault, "a key is there too early", spilled->seq);
    key->position |= SPILLED_SEEN;
    return 0;
}

int audit_keys_compare(struct key_reader *reader, const struct key_reader_state *state, const char *data_dir,
                       uint64_t from, struct audit_ledger *ledger, struct fault *fault)
{
    struct spilled_key spilled;
    uint64_t count = 0;
    int error;
    while ((error = key_reader_next(reader, &spilled)) == 0) {
        error = compare_key(ledger, &spilled, state, data_dir, from, fault);
        if (error)
            return error;
        count++;
    }
    if (error != ENOENT || count != state->key_count)
        return fault_set(fault, "damaged: %s/" DATA_DIR_IDEMPOTENCY ": %s; talead reindex %s makes it anew", data_dir,
                         error == EBADMSG || error == ENOENT ? "its bytes are not what was written" : strerror(error),
                         data_dir);
    for (uint64_t n = 0; n < ledger->key_room; n++)
        if (ledger->keys[n].position && ledger->keys[n].position < state->position)
            return keys_wrong(data_dir, fault, "a key that must be spilled is not there", 0);
    return 0;
}
