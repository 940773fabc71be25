#include "common/index_reader.h"

/*
 * One LMDB environment opened read-only, one read transaction that is reset
 * and renewed instead of made anew (it keeps its slot in the reader table), and lookups. Rows are copied out of
 * the mapping before use: LMDB aligns values to two bytes only. What never changes is looked up once (index_cache.h).
 */
#include <assert.h>
#include <errno.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>

#include "common/data_dir.h"
#include "common/exit_status.h"
#include "common/index_cache.h"
#include "common/report.h"
#include "common/small_folios.h"

/* A cursor that is kept from one transaction to the next. */
struct kept_cursor {
    MDB_cursor *cursor; /* NULL: not needed yet */
    bool renewed;       /* since the transaction began */
};

struct index_reader {
    char *path;
    unsigned flags; /* of the environment, beside those of every reader */
    uint32_t generation;
    MDB_env *env;
    MDB_txn *txn; /* reset between begin and end */
    bool reading;
    MDB_dbi table[INDEX_TABLE_COUNT];
    struct kept_cursor events, blocks;
    struct index_cache *cache; /* of this environment */
};

/* LMDB's own codes are negative; its callers get errno values. */
static int errno_of(int mdb_error)
{
    switch (mdb_error) {
    case MDB_SUCCESS:
        return 0;
    case MDB_NOTFOUND:
        return ENOENT;
    default:
        return mdb_error > 0 ? mdb_error : EIO;
    }
}

static void close_cursor(struct kept_cursor *kept)
{
    if (kept->cursor)
        mdb_cursor_close(kept->cursor);
    *kept = (struct kept_cursor){0};
}

static void close_environment(struct index_reader *r)
{
    close_cursor(&r->events);
    close_cursor(&r->blocks);
    if (r->txn)
        mdb_txn_abort(r->txn);
    if (r->env)
        mdb_env_close(r->env);
    r->txn = NULL;
    r->env = NULL;
    index_cache_clear(r->cache);
}

static int open_tables(struct index_reader *r)
{
    int error = mdb_txn_begin(r->env, NULL, MDB_RDONLY, &r->txn);
    if (error == MDB_MAP_RESIZED) {
        error = mdb_env_set_mapsize(r->env, 0);
        if (error == 0)
            error = mdb_txn_begin(r->env, NULL, MDB_RDONLY, &r->txn);
    }
    if (error)
        return error;
    for (int i = 0; i < INDEX_TABLE_COUNT; i++) {
        error = mdb_dbi_open(r->txn, index_table_names[i], 0, &r->table[i]);
        if (error)
            return error;
    }
    /* Committing makes the handles outlive the transaction. */
    error = mdb_txn_commit(r->txn);
    r->txn = NULL;
    if (error == 0)
        error = mdb_txn_begin(r->env, NULL, MDB_RDONLY, &r->txn);
    if (error == 0)
        mdb_txn_reset(r->txn);
    return error;
}

static int open_environment(struct index_reader *r)
{
    int error = mdb_env_create(&r->env);
    if (error == 0)
        error = mdb_env_set_maxdbs(r->env, INDEX_TABLE_COUNT);
    if (error == 0)
        error = mdb_env_open(r->env, r->path, MDB_RDONLY | MDB_NOTLS | r->flags, 0600);
    if (error == 0)
        error = open_tables(r);
    if (error)
        close_environment(r);
    return errno_of(error);
}

int index_reader_open(const char *data_dir, struct index_reader **out)
{
    struct index_reader *r = calloc(1, sizeof *r);
    if (!r)
        return ENOMEM;
    r->path = data_dir_path(data_dir, DATA_DIR_INDEX);
    r->flags = SMALL_FOLIOS_MDB;
    r->cache = index_cache_create();
    *out = r;
    return 0;
}

int index_reader_open_snapshot(const char *file, struct index_reader **out)
{
    struct index_reader *r = calloc(1, sizeof *r);
    if (!r || !(r->path = strdup(file)))
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    r->flags = MDB_NOSUBDIR | MDB_NOLOCK;
    r->cache = index_cache_create();
    *out = r;
    return 0;
}

void index_reader_close(struct index_reader **reader)
{
    struct index_reader *r = *reader;
    if (!r)
        return;
    close_environment(r);
    index_cache_destroy(&r->cache);
    free(r->path);
    free(r);
    *reader = NULL;
}

int index_reader_begin(struct index_reader *r, uint32_t generation)
{
    assert(!r->reading);
    if (r->env && r->generation != generation)
        close_environment(r);
    if (!r->env) {
        int error = open_environment(r);
        if (error)
            return error;
        r->generation = generation;
    }
    int error = mdb_txn_renew(r->txn);
    if (error == MDB_MAP_RESIZED) {
        error = mdb_env_set_mapsize(r->env, 0);
        if (error == 0)
            error = mdb_txn_renew(r->txn);
    }
    if (error) {
        close_environment(r);
        return errno_of(error);
    }
    r->reading = true;
    r->events.renewed = r->blocks.renewed = false;
    return 0;
}

void index_reader_end(struct index_reader *r)
{
    assert(r->reading);
    mdb_txn_reset(r->txn);
    r->reading = false;
}

static int get(struct index_reader *r, enum index_table table, const void *key, size_t key_len, MDB_val *value)
{
    assert(r->reading);
    MDB_val k = {key_len, (void *)key};
    return errno_of(mdb_get(r->txn, r->table[table], &k, value));
}

/* A row of fixed size, perhaps with something behind it. */
static int get_row(struct index_reader *r, enum index_table table, const void *key, size_t key_len, void *row,
                   size_t row_size)
{
    MDB_val value;
    int error = get(r, table, key, key_len, &value);
    if (error)
        return error;
    if (value.mv_size < row_size)
        return EIO;
    memcpy(row, value.mv_data, row_size);
    return 0;
}

int index_row(struct index_reader *r, enum index_table table, const void *key, size_t key_len, struct bytes *value)
{
    MDB_val v;
    int error = get(r, table, key, key_len, &v);
    if (error == 0)
        *value = bytes_of(v.mv_data, v.mv_size);
    return error;
}

int index_row_count(struct index_reader *r, enum index_table table, uint64_t *count)
{
    MDB_stat stat;
    assert(r->reading);
    int error = mdb_stat(r->txn, r->table[table], &stat);
    *count = error ? 0 : stat.ms_entries;
    return errno_of(error);
}

int index_reader_meta(struct index_reader *r, struct index_meta *out)
{
    return get_row(r, TABLE_META, "state", 5, out, sizeof *out);
}

int index_find_book(struct index_reader *r, struct bytes name, struct book_row *out)
{
    uint8_t key[NAME_KEY_MAX];
    return get_row(r, TABLE_BOOKS, key, name_key(name, key), out, sizeof *out);
}

int index_find_book_at(struct index_reader *r, struct bytes name, int64_t at_us, struct book_row *out)
{
    assert(r->reading);
    if (index_cache_book(r->cache, name, out) && out->last_at_us > at_us)
        return 0;
    int error = index_find_book(r, name, out);
    if (error == 0)
        index_cache_keep_book(r->cache, name, out);
    return error;
}

int index_book_name(struct index_reader *r, uint32_t book_no, struct bytes *out)
{
    uint8_t key[4];
    MDB_val value;
    int error = get(r, TABLE_BOOK_BY_NO, key, number_key(book_no, key), &value);
    if (error == 0)
        *out = bytes_of(value.mv_data, value.mv_size);
    return error;
}

int index_find_account(struct index_reader *r, uint32_t book_no, struct bytes path, struct account_value *out)
{
    uint8_t key[4 + NAME_KEY_MAX];
    MDB_val value;
    int error = get(r, TABLE_ACCOUNTS, key, account_table_key(book_no, path, key), &value);
    return error ? error : account_value_read(bytes_of(value.mv_data, value.mv_size), out);
}

int index_find_asset(struct index_reader *r, struct bytes id, uint32_t *asset_no)
{
    uint8_t key[NAME_KEY_MAX];
    return get_row(r, TABLE_ASSETS, key, name_key(id, key), asset_no, sizeof *asset_no);
}

int index_asset(struct index_reader *r, uint32_t asset_no, struct asset_definition *out)
{
    uint8_t key[4];
    MDB_val value;
    assert(r->reading);
    if (index_cache_asset(r->cache, asset_no, out))
        return 0;
    int error = get(r, TABLE_ASSET_BY_NO, key, number_key(asset_no, key), &value);
    if (error)
        return error;
    struct bytes packed = bytes_of(value.mv_data, value.mv_size);
    index_cache_keep_asset(r->cache, asset_no, packed);
    return asset_definition_unpack(packed, out) ? EIO : 0;
}

int index_event(struct index_reader *r, uint32_t book_no, uint64_t seq, int64_t *at_us, struct event_place *out)
{
    uint8_t key[12];
    struct event_row row;
    int error = get_row(r, TABLE_EVENTS, key, event_table_key(book_no, seq, key), &row, sizeof row);
    if (error)
        return error;
    *at_us = row.at_us;
    *out = (struct event_place){row.position, row.length, row.crc};
    return 0;
}

static int renew_cursor(struct index_reader *r, enum index_table table, struct kept_cursor *kept)
{
    assert(r->reading);
    if (kept->renewed)
        return 0;
    int error = kept->cursor ? mdb_cursor_renew(r->txn, kept->cursor)
                             : mdb_cursor_open(r->txn, r->table[table], &kept->cursor);
    kept->renewed = error == 0;
    return errno_of(error);
}

/*
 * An event's row by a cursor, which looks into its own page first: the last
 * steps of a search, and what follows one another in a history, stay on one.
 */
static int find_event(struct index_reader *r, uint32_t book_no, uint64_t seq, struct bytes *row)
{
    uint8_t key[12];
    MDB_val k = {event_table_key(book_no, seq, key), key}, v;
    int error = renew_cursor(r, TABLE_EVENTS, &r->events);
    if (error == 0)
        error = errno_of(mdb_cursor_get(r->events.cursor, &k, &v, MDB_SET));
    if (error == ENOENT || (error == 0 && v.mv_size < sizeof(struct event_row)))
        return EIO;
    *row = bytes_of(v.mv_data, error ? 0 : v.mv_size);
    return error;
}

/*
 * When the event was committed. Its seq is a multiple of `step`: with few such
 * multiples in the book it is kept for other searches.
 */
static int find_time(struct index_reader *r, const struct book_row *book, uint64_t seq, uint64_t step, int64_t *at_us)
{
    struct event_row row;
    struct bytes value;
    bool keep = book->last_seq / step < INDEX_CACHE_TIMES / 2;
    if (keep && index_cache_time(r->cache, book->book_no, seq, at_us))
        return 0;
    int error = find_event(r, book->book_no, seq, &value);
    if (error)
        return error;
    memcpy(&row, value.base, sizeof row);
    *at_us = row.at_us;
    if (keep)
        index_cache_keep_time(r->cache, book->book_no, seq, row.at_us);
    return 0;
}

/*
 * at never decreases as seq grows, so the answer is made bit by bit, from the
 * highest one. Every search so looks at the same few seqs first, whatever it
 * looks for and however the book has grown since: the cache has them.
 */
int index_seq_at(struct index_reader *r, const struct book_row *book, int64_t at_us, uint64_t *seq)
{
    *seq = book->last_seq;
    if (book->last_at_us <= at_us || book->last_seq == 0)
        return 0;
    *seq = 0;
    for (uint64_t bit = UINT64_C(1) << (63 - __builtin_clzll(book->last_seq)); bit > 0; bit /= 2) {
        int64_t at;
        if (*seq + bit >= book->last_seq) /* which is later */
            continue;
        int error = find_time(r, book, *seq + bit, bit, &at);
        if (error)
            return error;
        if (at <= at_us)
            *seq += bit;
    }
    return 0;
}

int index_transaction(struct index_reader *r, struct uuid id, uint32_t *book_no, uint64_t *seq)
{
    struct transaction_row row;
    int error = get_row(r, TABLE_TRANSACTIONS, id.octets, sizeof id.octets, &row, sizeof row);
    if (error)
        return error;
    *book_no = row.book_no;
    *seq = row.seq;
    return 0;
}

static bool starts_with(const MDB_val *k, const uint8_t *prefix, size_t prefix_len)
{
    return prefix_len == 0 || (k->mv_size >= prefix_len && memcmp(k->mv_data, prefix, prefix_len) == 0);
}

/* Places a cursor on the first key >= `key`; ENOENT when there is none with the same first `prefix_len` bytes. */
static int seek(MDB_cursor *cursor, const uint8_t *key, size_t key_len, size_t prefix_len, MDB_val *k, MDB_val *v)
{
    *k = (MDB_val){key_len, (void *)key};
    int error = mdb_cursor_get(cursor, k, v, MDB_SET_RANGE);
    if (error == 0 && !starts_with(k, key, prefix_len))
        return ENOENT;
    return errno_of(error);
}

static int step(MDB_cursor *cursor, MDB_cursor_op op, const uint8_t *prefix, size_t prefix_len, MDB_val *k, MDB_val *v)
{
    int error = mdb_cursor_get(cursor, k, v, op);
    if (error == 0 && !starts_with(k, prefix, prefix_len))
        return ENOENT;
    return errno_of(error);
}

int index_each_row(struct index_reader *r, enum index_table table, struct bytes prefix, index_row_fn *each,
                   void *context)
{
    MDB_cursor *cursor;
    MDB_val k, v;
    assert(r->reading);
    int error = errno_of(mdb_cursor_open(r->txn, r->table[table], &cursor));
    if (error)
        return error;
    int told = 0;
    error = prefix.len ? seek(cursor, prefix.base, prefix.len, prefix.len, &k, &v)
                       : errno_of(mdb_cursor_get(cursor, &k, &v, MDB_FIRST));
    while (error == 0 && told == 0) {
        told = each(context, bytes_of(k.mv_data, k.mv_size), bytes_of(v.mv_data, v.mv_size));
        if (told == 0)
            error = step(cursor, MDB_NEXT, prefix.base, prefix.len, &k, &v);
    }
    mdb_cursor_close(cursor);
    return told ? told : error == ENOENT ? 0 : error;
}

/* The seqs of the account's last block that begins with one <= `seq`; ENOENT when there is none. */
static int seek_block(struct index_reader *r, uint64_t account_no, uint64_t seq, struct bytes *seqs)
{
    uint8_t key[16];
    size_t key_len = posting_table_key(account_no, seq, key);
    MDB_val k = {key_len, key}, v;
    int error = renew_cursor(r, TABLE_POSTINGS, &r->blocks);
    if (error)
        return error;
    error = mdb_cursor_get(r->blocks.cursor, &k, &v, MDB_SET_RANGE);
    bool exact = error == 0 && k.mv_size == key_len && memcmp(k.mv_data, key, key_len) == 0;
    if (error == 0 && !exact)
        error = step(r->blocks.cursor, MDB_PREV, key, 8, &k, &v);
    else if (error == MDB_NOTFOUND)
        error = step(r->blocks.cursor, MDB_LAST, key, 8, &k, &v);
    *seqs = bytes_of(v.mv_data, error ? 0 : v.mv_size);
    return errno_of(error);
}

/* Of the account's last posting with seq <= `seq`; 0: there is none. */
static int last_posting_seq(struct index_reader *r, const struct account_value *account, uint64_t seq, uint64_t *out)
{
    struct bytes seqs;
    *out = seq_until(account->tail, seq);
    if (*out > 0 || account->row.blocked_seq == 0)
        return 0;
    int error = seek_block(r, account->row.account_no, seq, &seqs);
    if (error == 0)
        *out = seq_until(seqs, seq);
    return error == ENOENT ? 0 : error;
}

/* What the transaction with that seq, one of the account's, did to it. */
static int read_posting(struct index_reader *r, uint32_t book_no, uint64_t account_no, uint64_t seq,
                        struct posting_row *out)
{
    struct bytes event;
    int error = find_event(r, book_no, seq, &event);
    if (error == 0)
        error = posted_find(event, seq, account_no, out);
    return error == ENOENT ? EIO : error;
}

int index_account_at(struct index_reader *r, uint32_t book_no, const struct account_value *account, uint64_t seq,
                     struct account_sums *out)
{
    uint64_t last;
    struct posting_row row;
    *out = (struct account_sums){account->row.debits, account->row.credits, account->row.updated_seq};
    if (seq >= account->row.updated_seq)
        return 0;
    *out = (struct account_sums){0};
    int error = last_posting_seq(r, account, seq, &last);
    if (error || last == 0)
        return error;
    error = read_posting(r, book_no, account->row.account_no, last, &row);
    if (error == 0)
        *out = (struct account_sums){row.debits, row.credits, last};
    return error;
}

struct history {
    struct index_reader *reader;
    uint32_t book_no;
    uint64_t account_no, after_seq;
    uint32_t limit, count;
    index_history_fn *each;
    void *context;
    bool go_on;
};

/* ECANCELED: no more are wanted. */
static int give_postings(struct history *h, struct bytes seqs)
{
    struct posting_row row;
    for (size_t i = 0; i < seq_count(seqs); i++) {
        if (seq_at(seqs, i) <= h->after_seq)
            continue;
        if (h->count == h->limit || !h->go_on)
            return ECANCELED;
        int error = read_posting(h->reader, h->book_no, h->account_no, seq_at(seqs, i), &row);
        if (error)
            return error;
        h->go_on = h->each(h->context, &row);
        h->count++;
    }
    return 0;
}

static int give_blocks(struct history *h)
{
    uint8_t key[16];
    MDB_val k, v;
    struct bytes seqs;
    size_t key_len = posting_table_key(h->account_no, h->after_seq + 1, key);
    int error = seek_block(h->reader, h->account_no, h->after_seq + 1, &seqs);
    if (error == ENOENT) { /* all of them are later */
        error = seek(h->reader->blocks.cursor, key, key_len, 8, &k, &v);
        seqs = bytes_of(v.mv_data, error ? 0 : v.mv_size);
    }
    while (error == 0) {
        error = give_postings(h, seqs);
        if (error == 0)
            error = step(h->reader->blocks.cursor, MDB_NEXT, key, 8, &k, &v);
        seqs = bytes_of(v.mv_data, error ? 0 : v.mv_size);
    }
    return error == ENOENT ? 0 : error;
}

int index_history(struct index_reader *r, uint32_t book_no, const struct account_value *account, uint64_t after_seq,
                  uint32_t limit, index_history_fn *each, void *context, bool *exhausted)
{
    struct history h = {r, book_no, account->row.account_no, after_seq, limit, 0, each, context, true};
    int error = after_seq < account->row.blocked_seq ? give_blocks(&h) : 0;
    if (error == 0)
        error = give_postings(&h, account->tail);
    *exhausted = error == 0 && h.count < limit;
    return error == ECANCELED ? 0 : error;
}
