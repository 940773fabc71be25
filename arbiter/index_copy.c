#include "arbiter/index_copy.h"

/*
 * A read transaction that lasts as long as a copy of gigabytes keeps every
 * page that the writer gives up from being used again: the index grows by all
 * that is written meanwhile, and those pages are then dirtied one after
 * another, for hours. So only what changes (accounts, books, sums) is
 * copied in one transaction. The rest only ever grows: its rows are copied in
 * many short transactions, and those that are newer than the state are left
 * out. The rows come in key order, so the copy's pages are full.
 */
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/paced_file.h"
#include "common/small_folios.h"

#define PIECE_BYTES (256u << 10)
#define COPY_BYTES_PER_S (256u << 20) /* twice a backup's: until it ends, a start has the longer tail to read */
#define LMDB_KEY_MAX 511

struct copy {
    MDB_env *from, *to;
    MDB_dbi from_table[INDEX_TABLE_COUNT], to_table[INDEX_TABLE_COUNT];
    MDB_txn *reading, *writing;
    struct index_meta meta;
    uint64_t *last_seq; /* of each book, by number */
    uint64_t *blocked_seq; /* of each account, by number */
    struct paced_file file; /* the copy, which LMDB writes */
};

static int errno_of(int mdb_error)
{
    return mdb_error >= 0 ? mdb_error : mdb_error == MDB_NOTFOUND ? ENOENT : EIO;
}

/* --- the two environments --- */

static int open_tables(MDB_env *env, unsigned flags, MDB_dbi *tables)
{
    MDB_txn *txn;
    int error = mdb_txn_begin(env, NULL, flags & MDB_CREATE ? 0 : MDB_RDONLY, &txn);
    if (error)
        return error;
    for (int i = 0; error == 0 && i < INDEX_TABLE_COUNT; i++)
        error = mdb_dbi_open(txn, index_table_names[i], flags, &tables[i]);
    if (error) {
        mdb_txn_abort(txn);
        return error;
    }
    return mdb_txn_commit(txn);
}

static int open_source(struct copy *c, const char *path)
{
    int error = mdb_env_create(&c->from);
    if (error == 0)
        error = mdb_env_set_maxdbs(c->from, INDEX_TABLE_COUNT);
    if (error == 0)
        error = mdb_env_open(c->from, path, MDB_RDONLY | MDB_NOTLS | SMALL_FOLIOS_MDB, 0600);
    if (error == 0)
        error = open_tables(c->from, 0, c->from_table);
    if (error == 0)
        error = mdb_txn_begin(c->from, NULL, MDB_RDONLY, &c->reading);
    if (error == 0)
        mdb_txn_reset(c->reading);
    return error;
}

/* It is never larger than what it is a copy of, but what is posted meanwhile may be as much again. */
static int open_target(struct copy *c, const char *file)
{
    MDB_envinfo info;
    int error = mdb_env_create(&c->to);
    if (error == 0)
        error = mdb_env_info(c->from, &info);
    if (error == 0)
        error = mdb_env_set_mapsize(c->to, info.me_mapsize);
    if (error == 0)
        error = mdb_env_set_maxdbs(c->to, INDEX_TABLE_COUNT);
    if (error == 0)
        error = mdb_env_open(c->to, file, MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOSYNC | MDB_NOTLS, 0600);
    if (error == 0)
        error = open_tables(c->to, MDB_CREATE, c->to_table);
    return error;
}

static int begin_reading(struct copy *c)
{
    int error = mdb_txn_renew(c->reading);
    if (error != MDB_MAP_RESIZED)
        return error;
    error = mdb_env_set_mapsize(c->from, 0);
    return error ? error : mdb_txn_renew(c->reading);
}

/* --- rows --- */

/* What is to be done with a row: 0, it is copied; ENOENT, it is no part of the state; else an error. */
typedef int look_fn(struct copy *c, const MDB_val *key, const MDB_val *value);

/* A block that was made of a tail later is in that account's row still. */
static int look_at_block(struct copy *c, const MDB_val *key, const MDB_val *value)
{
    (void)value;
    if (key->mv_size != 16)
        return EIO;
    uint64_t account_no = key_u64(key->mv_data), seq = key_u64((const uint8_t *)key->mv_data + 8);
    return account_no <= c->meta.account_count && seq <= c->blocked_seq[account_no] ? 0 : ENOENT;
}

static int look_at_event(struct copy *c, const MDB_val *key, const MDB_val *value)
{
    (void)value;
    if (key->mv_size != 12)
        return EIO;
    uint32_t book_no = key_u32(key->mv_data);
    uint64_t seq = key_u64((const uint8_t *)key->mv_data + 4);
    return book_no <= c->meta.book_count && seq <= c->last_seq[book_no] ? 0 : ENOENT;
}

static int look_at_transaction(struct copy *c, const MDB_val *key, const MDB_val *value)
{
    struct transaction_row row;
    if (key->mv_size != 16 || value->mv_size < sizeof row)
        return EIO;
    memcpy(&row, value->mv_data, sizeof row);
    return row.book_no <= c->meta.book_count && row.seq <= c->last_seq[row.book_no] ? 0 : ENOENT;
}

/* Books and accounts tell which rows of the rest belong to the state. */
static int note_book(struct copy *c, const MDB_val *key, const MDB_val *value)
{
    struct book_row row;
    (void)key;
    if (value->mv_size != sizeof row)
        return EIO;
    memcpy(&row, value->mv_data, sizeof row);
    if (row.book_no > c->meta.book_count)
        return EIO;
    c->last_seq[row.book_no] = row.last_seq;
    return 0;
}

static int note_account(struct copy *c, const MDB_val *key, const MDB_val *value)
{
    struct account_row row;
    if (value->mv_size < sizeof row || key->mv_size < 4)
        return EIO;
    memcpy(&row, value->mv_data, sizeof row);
    uint32_t book_no = key_u32(key->mv_data);
    if (row.account_no > c->meta.account_count || book_no > c->meta.book_count)
        return EIO;
    c->blocked_seq[row.account_no] = row.blocked_seq;
    return 0;
}

/* Where a table was left. */
struct place {
    uint8_t key[LMDB_KEY_MAX];
    size_t length; /* 0: at its begin */
};

static int go_on(MDB_cursor *cursor, const struct place *place, MDB_val *key, MDB_val *value)
{
    if (place->length == 0)
        return mdb_cursor_get(cursor, key, value, MDB_FIRST);
    *key = (MDB_val){place->length, (void *)place->key};
    int error = mdb_cursor_get(cursor, key, value, MDB_SET_RANGE);
    if (error == 0 && key->mv_size == place->length && memcmp(key->mv_data, place->key, place->length) == 0)
        error = mdb_cursor_get(cursor, key, value, MDB_NEXT);
    return error;
}

/* From `place` on, up to about a piece. 0, or MDB_NOTFOUND behind the last row. */
static int copy_rows(struct copy *c, enum index_table table, look_fn *look, struct place *place)
{
    MDB_cursor *from = NULL, *to = NULL;
    MDB_val key, value;
    size_t bytes = 0;
    int error = mdb_cursor_open(c->reading, c->from_table[table], &from);
    if (error == 0)
        error = mdb_cursor_open(c->writing, c->to_table[table], &to);
    if (error == 0)
        error = go_on(from, place, &key, &value);
    while (error == 0 && bytes < PIECE_BYTES) {
        int found = look ? look(c, &key, &value) : 0;
        if (found == 0)
            error = mdb_cursor_put(to, &key, &value, MDB_APPEND);
        else if (found != ENOENT)
            error = found;
        bytes += key.mv_size + value.mv_size;
        memcpy(place->key, key.mv_data, key.mv_size);
        place->length = key.mv_size;
        if (error == 0)
            error = mdb_cursor_get(from, &key, &value, MDB_NEXT);
    }
    if (to)
        mdb_cursor_close(to);
    if (from)
        mdb_cursor_close(from);
    return error;
}

/* One piece, in a transaction of the copy. */
static int copy_piece(struct copy *c, enum index_table table, look_fn *look, struct place *place)
{
    int error = mdb_txn_begin(c->to, NULL, 0, &c->writing);
    if (error)
        return error;
    int end = copy_rows(c, table, look, place);
    if (end && end != MDB_NOTFOUND) {
        mdb_txn_abort(c->writing);
        return end;
    }
    error = mdb_txn_commit(c->writing);
    return error ? error : end;
}

static int copy_growing(struct copy *c, enum index_table table, look_fn *look)
{
    struct place place = {.length = 0};
    int error;
    do {
        error = begin_reading(c);
        if (error)
            return error;
        error = copy_piece(c, table, look, &place);
        mdb_txn_reset(c->reading);
        if (error == 0)
            error = paced_file_hand_over(&c->file, PIECE_BYTES);
    } while (error == 0);
    return error == MDB_NOTFOUND ? 0 : error;
}

/* --- the state --- */

static int copy_whole(struct copy *c, enum index_table table, look_fn *look)
{
    struct place place = {.length = 0};
    int error;
    do
        error = copy_piece(c, table, look, &place);
    while (error == 0);
    return error == MDB_NOTFOUND ? 0 : error;
}

static int read_meta(struct copy *c)
{
    MDB_val key = {5, (void *)"state"}, value;
    int error = mdb_get(c->reading, c->from_table[TABLE_META], &key, &value);
    if (error)
        return error;
    if (value.mv_size != sizeof c->meta)
        return EIO;
    memcpy(&c->meta, value.mv_data, sizeof c->meta);
    c->last_seq = calloc((size_t)c->meta.book_count + 1, sizeof *c->last_seq);
    c->blocked_seq = calloc(c->meta.account_count + 1, sizeof *c->blocked_seq);
    return c->last_seq && c->blocked_seq ? 0 : ENOMEM;
}

/* All that changes, as of one commit. */
static int copy_state(struct copy *c)
{
    static const struct {
        enum index_table table;
        look_fn *look;
    } parts[] = {
        {TABLE_META, NULL},
        {TABLE_ASSETS, NULL},
        {TABLE_ASSET_BY_NO, NULL},
        {TABLE_BOOKS, note_book},
        {TABLE_BOOK_BY_NO, NULL},
        {TABLE_ACCOUNTS, note_account},
        {TABLE_SUMS, NULL},
    };
    int error = begin_reading(c);
    if (error)
        return error;
    error = read_meta(c);
    for (size_t i = 0; error == 0 && i < sizeof parts / sizeof *parts; i++)
        error = copy_whole(c, parts[i].table, parts[i].look);
    mdb_txn_reset(c->reading);
    return error;
}

static int copy_all(struct copy *c)
{
    int error = copy_state(c);
    if (error == 0)
        error = copy_growing(c, TABLE_POSTINGS, look_at_block);
    if (error == 0)
        error = copy_growing(c, TABLE_EVENTS, look_at_event);
    if (error == 0)
        error = copy_growing(c, TABLE_TRANSACTIONS, look_at_transaction);
    return error;
}

static void close_both(struct copy *c)
{
    if (c->reading)
        mdb_txn_abort(c->reading);
    if (c->from)
        mdb_env_close(c->from);
    if (c->to)
        mdb_env_close(c->to);
    if (c->file.fd >= 0)
        close(c->file.fd);
    free(c->last_seq);
    free(c->blocked_seq);
}

int index_copy(const char *index_path, const char *file, struct index_meta *meta)
{
    struct copy c = {.file = {.fd = -1, .bytes_per_s = COPY_BYTES_PER_S}};
    int error = open_source(&c, index_path);
    if (error == 0)
        error = open_target(&c, file);
    if (error == 0 && (c.file.fd = open(file, O_RDWR | O_CLOEXEC)) < 0)
        error = errno;
    if (error == 0)
        error = copy_all(&c);
    *meta = c.meta;
    close_both(&c);
    return errno_of(error);
}
