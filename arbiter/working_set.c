#include "arbiter/working_set.h"

/*
 * Four hash tables (uthash) by the very keys of the index. What a group
 * changes hangs on `changed` lists, so writing costs what was touched, not
 * what is cached. Hashing is seeded: names are the clients'.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/exit_status.h"
#include "common/posting_rows.h"
#include "common/report.h"

#include <xxhash.h>

static uint64_t hash_seed;
#define HASH_FUNCTION(key, len, out) ((out) = (unsigned)XXH3_64bits_withSeed((key), (len), hash_seed))
#include <uthash.h>

#define CACHED_ACCOUNTS_MAX 65536
#define CACHED_BOOKS_MAX 65536
#define CACHED_SUMS_MAX 65536
#define CACHED_ASSETS_MAX 65536

struct book_entry {
    struct book_row row;
    bool is_new, changed;
    struct book_entry *next_changed;
    UT_hash_handle hh;
    size_t key_len; /* name_key of the name */
    size_t name_len;
    uint8_t bytes[]; /* key, then name */
};

struct asset_entry {
    uint32_t asset_no;
    bool is_new;
    struct asset_entry *next_changed;
    UT_hash_handle hh;        /* by id key */
    UT_hash_handle by_number; /* by asset_no */
    struct bytes id;          /* within `packed` */
    size_t key_len;
    size_t packed_len;
    uint8_t bytes[]; /* id key, then the packed definition */
};

struct account_entry {
    struct ledger_account rules;
    struct account_row row;
    bool changed;
    struct account_entry *next_changed;
    uint64_t tail[POSTING_TAIL_MAX]; /* row.tail_count seqs */
    struct asset_entry *asset;
    UT_hash_handle hh;
    size_t key_len;
    size_t path_len; /* of the path behind all in the index: only where the key does not hold it */
    uint8_t bytes[]; /* key, then that path */
};

struct sum_entry {
    struct sum_row row;
    bool changed;
    struct sum_entry *next_changed;
    UT_hash_handle hh;
    uint8_t key[8];
};

struct working_set {
    struct index_writer *index;
    struct index_meta meta;
    struct book_entry *books, *changed_books;
    struct account_entry *accounts, *changed_accounts;
    struct asset_entry *assets, *assets_by_number, *changed_assets;
    struct sum_entry *sums, *changed_sums;
    uint64_t changed_count, changed_bytes;
};

static void *allocate(size_t n)
{
    void *p = calloc(1, n);
    if (!p)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory in the arbiter");
    return p;
}

static _Noreturn void row_unreadable(enum index_table table, const char *why)
{
    report_fatal(EXIT_STATUS_CORRUPT, "cannot read the index (table %s): %s; stop talead and run it again",
                 index_table_names[table], why);
}

/* True when the row is there; the value is valid until the next put or commit. */
static bool read_value(struct working_set *set, enum index_table table, const void *key, size_t key_len,
                       struct bytes *value)
{
    int error = index_writer_get(set->index, table, key, key_len, value);
    if (error && error != ENOENT)
        row_unreadable(table, strerror(error));
    return error == 0;
}

/* True when the row is there and has been copied to `row`. */
static bool read_row(struct working_set *set, enum index_table table, const void *key, size_t key_len, void *row,
                     size_t row_len)
{
    struct bytes value;
    if (!read_value(set, table, key, key_len, &value))
        return false;
    if (value.len < row_len)
        row_unreadable(table, "a row is too short");
    memcpy(row, value.base, row_len);
    return true;
}

struct working_set *working_set_create(struct index_writer *index)
{
    struct working_set *set = allocate(sizeof *set);
    random_fill(&hash_seed, sizeof hash_seed);
    set->index = index;
    if (!read_row(set, TABLE_META, "state", 5, &set->meta, sizeof set->meta))
        set->meta = (struct index_meta){.version = INDEX_VERSION};
    return set;
}

struct index_meta *working_set_meta(struct working_set *set)
{
    return &set->meta;
}

static void count_change(struct working_set *set, size_t puts, size_t bytes)
{
    set->changed_count += puts;
    set->changed_bytes += bytes;
}

/* --- books --- */

static struct book_entry *add_book(struct working_set *set, struct bytes name, const uint8_t *key, size_t key_len)
{
    struct book_entry *book = allocate(sizeof *book + key_len + name.len);
    book->key_len = key_len;
    book->name_len = name.len;
    memcpy(book->bytes, key, key_len);
    memcpy(book->bytes + key_len, name.base, name.len);
    HASH_ADD_KEYPTR(hh, set->books, book->bytes, key_len, book);
    return book;
}

struct book_entry *working_set_find_book(struct working_set *set, struct bytes name)
{
    uint8_t key[NAME_KEY_MAX];
    size_t key_len = name_key(name, key);
    struct book_entry *book;
    struct book_row row;
    HASH_FIND(hh, set->books, key, key_len, book);
    if (book || !read_row(set, TABLE_BOOKS, key, key_len, &row, sizeof row))
        return book;
    book = add_book(set, name, key, key_len);
    book->row = row;
    return book;
}

static void change_book(struct working_set *set, struct book_entry *book)
{
    if (book->changed)
        return;
    book->changed = true;
    book->next_changed = set->changed_books;
    set->changed_books = book;
    count_change(set, 2, sizeof book->row + 2 * book->key_len + book->name_len);
}

struct book_entry *working_set_book(struct working_set *set, struct bytes name)
{
    struct book_entry *book = working_set_find_book(set, name);
    if (!book) {
        uint8_t key[NAME_KEY_MAX];
        book = add_book(set, name, key, name_key(name, key));
        book->row.book_no = ++set->meta.book_count;
        book->is_new = true;
    }
    change_book(set, book);
    return book;
}

struct book_row *book_entry_row(struct book_entry *book)
{
    return &book->row;
}

static int write_books(struct working_set *set)
{
    int error = 0;
    for (struct book_entry *b = set->changed_books; b && error == 0; b = b->next_changed) {
        uint8_t number[4];
        error = index_writer_put(set->index, TABLE_BOOKS, b->bytes, b->key_len, &b->row, sizeof b->row);
        if (error == 0 && b->is_new)
            error = index_writer_put(set->index, TABLE_BOOK_BY_NO, number, number_key(b->row.book_no, number),
                                     b->bytes + b->key_len, b->name_len);
    }
    return error;
}

/* --- assets --- */

static struct asset_entry *add_asset(struct working_set *set, uint32_t asset_no, const uint8_t *key, size_t key_len,
                                     struct bytes packed)
{
    struct asset_definition definition;
    struct asset_entry *asset = allocate(sizeof *asset + key_len + packed.len);
    asset->asset_no = asset_no;
    asset->key_len = key_len;
    asset->packed_len = packed.len;
    memcpy(asset->bytes, key, key_len);
    memcpy(asset->bytes + key_len, packed.base, packed.len);
    if (asset_definition_unpack(bytes_of(asset->bytes + key_len, packed.len), &definition) != 0)
        report_fatal(EXIT_STATUS_CORRUPT, "the index holds a malformed asset (number %u); stop talead, remove the "
                     "index folder and start it again", asset_no);
    asset->id = definition.id;
    HASH_ADD_KEYPTR(hh, set->assets, asset->bytes, key_len, asset);
    HASH_ADD(by_number, set->assets_by_number, asset_no, sizeof asset->asset_no, asset);
    return asset;
}

static struct asset_entry *load_asset(struct working_set *set, uint32_t asset_no)
{
    struct asset_entry *asset;
    uint8_t key[4];
    struct bytes packed;
    HASH_FIND(by_number, set->assets_by_number, &asset_no, sizeof asset_no, asset);
    if (asset)
        return asset;
    struct asset_definition definition;
    if (index_writer_get(set->index, TABLE_ASSET_BY_NO, key, number_key(asset_no, key), &packed) != 0 ||
        asset_definition_unpack(packed, &definition) != 0)
        report_fatal(EXIT_STATUS_CORRUPT, "the index lacks asset number %u; stop talead, remove the index folder and "
                     "start it again", asset_no);
    uint8_t id_key[NAME_KEY_MAX];
    return add_asset(set, asset_no, id_key, name_key(definition.id, id_key), packed);
}

uint32_t working_set_find_asset(struct working_set *set, struct bytes id)
{
    uint8_t key[NAME_KEY_MAX];
    size_t key_len = name_key(id, key);
    struct asset_entry *asset;
    uint32_t asset_no;
    HASH_FIND(hh, set->assets, key, key_len, asset);
    if (asset)
        return asset->asset_no;
    return read_row(set, TABLE_ASSETS, key, key_len, &asset_no, sizeof asset_no) ? asset_no : 0;
}

struct bytes working_set_asset(struct working_set *set, uint32_t asset_no)
{
    struct asset_entry *asset = load_asset(set, asset_no);
    return bytes_of(asset->bytes + asset->key_len, asset->packed_len);
}

uint32_t working_set_new_asset(struct working_set *set, struct bytes id, struct bytes packed)
{
    uint8_t key[NAME_KEY_MAX];
    size_t key_len = name_key(id, key);
    struct asset_entry *asset = add_asset(set, ++set->meta.asset_count, key, key_len, packed);
    asset->is_new = true;
    asset->next_changed = set->changed_assets;
    set->changed_assets = asset;
    count_change(set, 2, key_len + packed.len + 16);
    return asset->asset_no;
}

static int write_assets(struct working_set *set)
{
    int error = 0;
    for (struct asset_entry *a = set->changed_assets; a && error == 0; a = a->next_changed) {
        uint8_t number[4];
        error = index_writer_put(set->index, TABLE_ASSETS, a->bytes, a->key_len, &a->asset_no, sizeof a->asset_no);
        if (error == 0)
            error = index_writer_put(set->index, TABLE_ASSET_BY_NO, number, number_key(a->asset_no, number),
                                     a->bytes + a->key_len, a->packed_len);
    }
    return error;
}

/* --- accounts --- */

static struct account_entry *add_account(struct working_set *set, struct bytes path, const uint8_t *key,
                                         size_t key_len, const struct account_row *row)
{
    size_t path_len = key[4] == 0 ? 0 : path.len;
    struct account_entry *account = allocate(sizeof *account + key_len + path_len);
    account->row = *row;
    account->key_len = key_len;
    account->path_len = path_len;
    memcpy(account->bytes, key, key_len);
    memcpy(account->bytes + key_len, path.base, path_len);
    account->asset = load_asset(set, row->asset_no);
    account->rules = (struct ledger_account){
        .asset = account->asset->id,
        .asset_no = row->asset_no,
        .normal_side = row->normal_side,
        .has_min_balance = row->has_min_balance,
        .min_balance = row->min_balance,
        .debits = row->debits,
        .credits = row->credits,
    };
    HASH_ADD_KEYPTR(hh, set->accounts, account->bytes, key_len, account);
    return account;
}

struct account_entry *working_set_find_account(struct working_set *set, struct book_entry *book, struct bytes path)
{
    uint8_t key[4 + NAME_KEY_MAX];
    size_t key_len = account_table_key(book->row.book_no, path, key);
    struct account_entry *account;
    struct account_value found;
    struct bytes value;
    HASH_FIND(hh, set->accounts, key, key_len, account);
    if (account || !read_value(set, TABLE_ACCOUNTS, key, key_len, &value))
        return account;
    if (account_value_read(value, &found) != 0)
        row_unreadable(TABLE_ACCOUNTS, "a row has another length than it says");
    account = add_account(set, path, key, key_len, &found.row);
    memcpy(account->tail, found.tail.base, found.tail.len);
    return account;
}

static void change_account(struct working_set *set, struct account_entry *account)
{
    if (account->changed)
        return;
    account->changed = true;
    account->next_changed = set->changed_accounts;
    set->changed_accounts = account;
    count_change(set, 1, account->key_len + sizeof account->row + sizeof account->tail + account->path_len);
}

struct account_entry *working_set_new_account(struct working_set *set, struct book_entry *book,
                                              const struct account_definition *definition, uint32_t asset_no)
{
    uint8_t key[4 + NAME_KEY_MAX];
    size_t key_len = account_table_key(book->row.book_no, definition->path, key);
    struct account_row row = {
        .account_no = ++set->meta.account_count,
        .min_balance = definition->min_balance,
        .asset_no = asset_no,
        .kind = (uint8_t)definition->kind,
        .normal_side = (uint8_t)definition->normal_side,
        .has_min_balance = definition->has_min_balance,
    };
    struct account_entry *account = add_account(set, definition->path, key, key_len, &row);
    change_account(set, account);
    return account;
}

struct ledger_account *account_entry_rules(struct account_entry *account)
{
    return &account->rules;
}

struct account_entry *account_entry_of_rules(struct ledger_account *rules)
{
    return (struct account_entry *)((char *)rules - offsetof(struct account_entry, rules));
}

const struct account_row *account_entry_row(const struct account_entry *account)
{
    return &account->row;
}

/* --- sums --- */

static struct sum_entry *load_sum(struct working_set *set, uint32_t book_no, uint32_t asset_no)
{
    uint8_t key[8];
    struct sum_entry *sum;
    sum_table_key(book_no, asset_no, key);
    HASH_FIND(hh, set->sums, key, sizeof key, sum);
    if (sum)
        return sum;
    sum = allocate(sizeof *sum);
    memcpy(sum->key, key, sizeof key);
    (void)read_row(set, TABLE_SUMS, key, sizeof key, &sum->row, sizeof sum->row);
    HASH_ADD(hh, set->sums, key, sizeof sum->key, sum);
    return sum;
}

static void add_to_tail(struct account_entry *account, uint64_t seq, struct index_changes *changes)
{
    struct account_row *row = &account->row;
    if (row->tail_count == POSTING_TAIL_MAX) {
        index_changes_block(changes, row->account_no, account->tail);
        row->blocked_seq = row->updated_seq;
        row->tail_count = 0;
    }
    account->tail[row->tail_count++] = seq;
    row->updated_seq = seq;
}

void working_set_apply(struct working_set *set, struct account_entry *account, struct book_entry *book, uint64_t seq,
                       struct index_changes *changes)
{
    struct ledger_account *rules = &account->rules;
    struct sum_entry *sum = load_sum(set, book->row.book_no, rules->asset_no);
    bool overflow = __builtin_add_overflow(sum->row.debits, rules->next_debits - rules->debits, &sum->row.debits) ||
                    __builtin_add_overflow(sum->row.credits, rules->next_credits - rules->credits, &sum->row.credits);
    assert(!overflow); /* fewer than 2^64 amounts below 2^63 cannot pass 2^127 */
    if (!sum->changed) {
        sum->changed = true;
        sum->next_changed = set->changed_sums;
        set->changed_sums = sum;
        count_change(set, 1, sizeof sum->key + sizeof sum->row);
    }
    rules->debits = rules->next_debits;
    rules->credits = rules->next_credits;
    account->row.debits = rules->debits;
    account->row.credits = rules->credits;
    add_to_tail(account, seq, changes);
    change_account(set, account);
}

/* --- writing and forgetting --- */

void working_set_weigh(const struct working_set *set, uint64_t *put_count, uint64_t *put_bytes)
{
    *put_count = set->changed_count + 1;
    *put_bytes = set->changed_bytes + sizeof set->meta;
}

int working_set_write(struct working_set *set)
{
    int error = write_books(set);
    if (error == 0)
        error = write_assets(set);
    for (struct account_entry *a = set->changed_accounts; a && error == 0; a = a->next_changed) {
        const struct bytes parts[] = {
            bytes_of(&a->row, sizeof a->row),
            bytes_of(a->tail, a->row.tail_count * sizeof *a->tail),
            bytes_of(a->bytes + a->key_len, a->path_len),
        };
        error = index_writer_put_parts(set->index, TABLE_ACCOUNTS, a->bytes, a->key_len, parts,
                                       sizeof parts / sizeof *parts);
    }
    for (struct sum_entry *s = set->changed_sums; s && error == 0; s = s->next_changed)
        error = index_writer_put(set->index, TABLE_SUMS, s->key, sizeof s->key, &s->row, sizeof s->row);
    if (error == 0)
        error = index_writer_put(set->index, TABLE_META, "state", 5, &set->meta, sizeof set->meta);
    return error;
}

static void forget_account(struct working_set *set, struct account_entry *account)
{
    HASH_DELETE(hh, set->accounts, account);
    free(account);
}

static void forget_all(struct working_set *set)
{
    struct book_entry *b, *next_b;
    struct account_entry *a, *next_a;
    struct asset_entry *s, *next_s;
    struct sum_entry *m, *next_m;
    HASH_ITER(hh, set->books, b, next_b)
    {
        HASH_DELETE(hh, set->books, b);
        free(b);
    }
    HASH_ITER(hh, set->accounts, a, next_a)
    {
        forget_account(set, a);
    }
    HASH_ITER(hh, set->assets, s, next_s)
    {
        HASH_DELETE(hh, set->assets, s);
        HASH_DELETE(by_number, set->assets_by_number, s);
        free(s);
    }
    HASH_ITER(hh, set->sums, m, next_m)
    {
        HASH_DELETE(hh, set->sums, m);
        free(m);
    }
}

void working_set_settled(struct working_set *set)
{
    for (; set->changed_books; set->changed_books = set->changed_books->next_changed)
        set->changed_books->changed = set->changed_books->is_new = false;
    for (; set->changed_accounts; set->changed_accounts = set->changed_accounts->next_changed)
        set->changed_accounts->changed = false;
    for (; set->changed_assets; set->changed_assets = set->changed_assets->next_changed)
        set->changed_assets->is_new = false;
    for (; set->changed_sums; set->changed_sums = set->changed_sums->next_changed)
        set->changed_sums->changed = false;
    set->changed_count = set->changed_bytes = 0;
    /* The list begins with those that were read first. */
    while (HASH_COUNT(set->accounts) > CACHED_ACCOUNTS_MAX)
        forget_account(set, set->accounts);
    /* Accounts point to their assets: of the rest all or nothing is forgotten. */
    if (HASH_COUNT(set->books) > CACHED_BOOKS_MAX || HASH_COUNT(set->assets) > CACHED_ASSETS_MAX ||
        HASH_COUNT(set->sums) > CACHED_SUMS_MAX)
        forget_all(set);
}

void working_set_destroy(struct working_set **set)
{
    if (!*set)
        return;
    forget_all(*set);
    free(*set);
    *set = NULL;
}
