#include "arbiter/key_runs.h"

/* The map is address space alone: without MDB_WRITEMAP the file grows as it is written. */
#include <assert.h>
#include <errno.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>

#include "arbiter/directory.h"
#include "common/data_dir.h"
#include "common/durable_file.h"
#include "common/exit_status.h"
#include "common/index_schema.h"
#include "common/key_mark.h"
#include "common/report.h"

#define MAP_BYTES (1ull << 40)

struct key_runs {
    MDB_env *env;
    MDB_dbi keys, runs, state_table;
    MDB_txn *reading; /* reset between looks */
    char *path;
    bool marked; /* the mark is of the newest commit; of key_runs_open, then of key_runs_write alone */
    struct key_state state;
    bool *proved; /* by run */
    size_t proved_room;
};

static int errno_of(int mdb_error)
{
    return mdb_error == MDB_NOTFOUND ? ENOENT : mdb_error >= 0 ? mdb_error : EBADMSG;
}

static MDB_val val(const void *p, size_t n)
{
    return (MDB_val){n, (void *)p};
}

/* --- opening --- */

static int open_tables(struct key_runs *r)
{
    MDB_txn *txn;
    int error = mdb_txn_begin(r->env, NULL, 0, &txn);
    if (error)
        return error;
    error = mdb_dbi_open(txn, KEY_TABLE_KEYS, MDB_CREATE, &r->keys);
    if (error == 0)
        error = mdb_dbi_open(txn, KEY_TABLE_RUNS, MDB_CREATE, &r->runs);
    if (error == 0)
        error = mdb_dbi_open(txn, KEY_TABLE_STATE, MDB_CREATE, &r->state_table);
    if (error) {
        mdb_txn_abort(txn);
        return error;
    }
    return mdb_txn_commit(txn);
}

static int open_environment(struct key_runs *r, const char *path)
{
    int error = directory_make(path);
    if (error == 0)
        error = directory_allocate_lock(path);
    if (error == 0)
        error = mdb_env_create(&r->env);
    if (error == 0)
        error = mdb_env_set_maxdbs(r->env, 3);
    if (error == 0)
        error = mdb_env_set_mapsize(r->env, MAP_BYTES);
    if (error == 0)
        error = mdb_env_open(r->env, path, MDB_NOTLS, 0600);
    if (error == 0)
        error = directory_sync(path); /* LMDB syncs the file that it made, and not its name */
    if (error == 0)
        error = open_tables(r);
    if (error == 0)
        error = mdb_txn_begin(r->env, NULL, MDB_RDONLY, &r->reading);
    return errno_of(error);
}

/* The numbers of rows are LMDB's own, so that a lost table, or a lost state of one that has keys, is seen at once. */
static int check_counts(struct key_runs *r)
{
    MDB_stat keys, runs;
    if (mdb_stat(r->reading, r->keys, &keys) != 0 || mdb_stat(r->reading, r->runs, &runs) != 0)
        return EBADMSG;
    return keys.ms_entries == r->state.key_count && runs.ms_entries == r->state.run_count ? 0 : EBADMSG;
}

static int read_state(struct key_runs *r, struct uuid ledger)
{
    MDB_val k = val(KEY_STATE_KEY, strlen(KEY_STATE_KEY)), v;
    struct key_state state;
    int error = mdb_get(r->reading, r->state_table, &k, &v);
    if (error == MDB_NOTFOUND) {
        r->state = (struct key_state){.version = KEY_SCHEMA_VERSION, .ledger = ledger};
        return check_counts(r);
    }
    if (error || v.mv_size != sizeof state)
        return EBADMSG;
    memcpy(&state, v.mv_data, sizeof state);
    if (state.version != KEY_SCHEMA_VERSION || state.crc != key_state_crc(&state) ||
        memcmp(&state.ledger, &ledger, sizeof ledger) != 0)
        return EBADMSG;
    r->state = state;
    return check_counts(r);
}

/* No commit is made on one that is not marked: the mark is never behind by more than one. */
static int keep_marked(struct key_runs *r)
{
    int error = r->marked ? 0 : key_mark_write(r->path);
    r->marked = error == 0;
    return error;
}

static void make_room_for_proofs(struct key_runs *r, uint32_t runs)
{
    if (runs <= r->proved_room)
        return;
    size_t room = 2 * (size_t)runs + 64;
    r->proved = realloc(r->proved, room * sizeof *r->proved);
    if (!r->proved)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    memset(r->proved + r->proved_room, 0, (room - r->proved_room) * sizeof *r->proved);
    r->proved_room = room;
}

int key_runs_open(const char *data_dir, struct uuid ledger, struct key_runs **out)
{
    struct key_runs *r = calloc(1, sizeof *r);
    if (!r)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    r->path = data_dir_path(data_dir, DATA_DIR_IDEMPOTENCY);
    int mark = key_mark_check(r->path);
    int error = mark == ESTALE || mark == ENOENT ? 0 : mark;
    if (error == 0)
        error = open_environment(r, r->path);
    if (error == 0) {
        error = read_state(r, ledger);
        mdb_txn_reset(r->reading);
    }
    if (error == 0 && mark == ENOENT && r->state.run_count) /* a new one has none before its first run */
        error = EBADMSG;
    r->marked = mark == 0;
    if (error)
        key_runs_close(&r);
    else
        make_room_for_proofs(r, r->state.run_count);
    *out = r;
    return error;
}

void key_runs_close(struct key_runs **runs)
{
    struct key_runs *r = *runs;
    if (!r)
        return;
    if (r->reading)
        mdb_txn_abort(r->reading);
    if (r->env)
        mdb_env_close(r->env);
    free(r->proved);
    free(r->path);
    free(r);
    *runs = NULL;
}

const struct key_state *key_runs_state(const struct key_runs *r)
{
    return &r->state;
}

/* --- filters --- */

/* The row of a run and its filter's bits, while reading. */
static int read_row(struct key_runs *r, uint32_t run, struct key_run_row *row, const uint8_t **bits)
{
    uint8_t number[4];
    MDB_val k = val(number, number_key(run, number)), v;
    int error = mdb_get(r->reading, r->runs, &k, &v);
    if (error)
        return error > 0 ? error : EBADMSG; /* it must be there */
    if (v.mv_size < sizeof *row)
        return EBADMSG;
    memcpy(row, v.mv_data, sizeof *row);
    *bits = (const uint8_t *)v.mv_data + sizeof *row;
    if (row->filter_log2 < 6 || row->filter_log2 > KEY_FILTER_LOG2_MAX ||
        v.mv_size != sizeof *row + ((size_t)1 << (row->filter_log2 - 3)))
        return EBADMSG;
    return 0;
}

struct waiting {
    struct run_bits runs[RUN_GROUP_MAX];
    size_t count;
};

static void load_waiting(struct run_filter *filter, unsigned log2, struct waiting *w)
{
    if (w->count)
        run_filter_load(filter, log2, w->runs, w->count);
    w->count = 0;
}

/* Runs of one size are collected until they fill a group. */
static int load_run(struct key_runs *r, uint32_t run, struct waiting *waiting, struct run_filter *filter,
                    uint64_t *keys)
{
    struct key_run_row row;
    const uint8_t *bits;
    int error = read_row(r, run, &row, &bits);
    if (error)
        return error;
    if (crc32c(0, bits, (size_t)1 << (row.filter_log2 - 3)) != row.filter_crc)
        return EBADMSG;
    struct waiting *w = &waiting[row.filter_log2];
    w->runs[w->count++] = (struct run_bits){run, bits};
    if (w->count == RUN_GROUP_MAX)
        load_waiting(filter, row.filter_log2, w);
    *keys += row.key_count;
    return 0;
}

int key_runs_load_filter(struct key_runs *r, struct run_filter *filter)
{
    struct waiting *waiting = calloc(KEY_FILTER_LOG2_MAX + 1, sizeof *waiting);
    uint64_t keys = 0;
    if (!waiting)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    int error = errno_of(mdb_txn_renew(r->reading));
    for (uint32_t run = 0; error == 0 && run < r->state.run_count; run++)
        error = load_run(r, run, waiting, filter, &keys);
    for (unsigned log2 = 0; error == 0 && log2 <= KEY_FILTER_LOG2_MAX; log2++)
        load_waiting(filter, log2, &waiting[log2]);
    mdb_txn_reset(r->reading);
    free(waiting);
    return error ? error : keys == r->state.key_count ? 0 : EBADMSG;
}

/* --- looking --- */

static int read_value(MDB_val v, struct key_value *out)
{
    if (v.mv_size != sizeof *out)
        return EBADMSG;
    memcpy(out, v.mv_data, sizeof *out);
    return 0;
}

/* The CRC over the run's keys as they stand, and their number. */
static int add_up_run(struct key_runs *r, uint32_t run, uint32_t *count, uint32_t *crc)
{
    struct sha256 digest = {{0}};
    uint8_t from[RUN_KEY_BYTES];
    MDB_cursor *cursor;
    MDB_val v;
    run_key(run, &digest, from);
    MDB_val k = val(from, sizeof from);
    *count = *crc = 0;
    int error = mdb_cursor_open(r->reading, r->keys, &cursor);
    if (error)
        return errno_of(error);
    error = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
    while (error == 0 && k.mv_size == RUN_KEY_BYTES && key_u32(k.mv_data) == run) {
        struct key_value value;
        if (read_value(v, &value) != 0)
            break;
        memcpy(&digest, (uint8_t *)k.mv_data + 4, sizeof digest);
        *crc = key_run_crc(*crc, &digest, &value);
        ++*count;
        error = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    return error == MDB_NOTFOUND ? 0 : errno_of(error);
}

static int prove(struct key_runs *r, uint32_t run)
{
    struct key_run_row row;
    const uint8_t *bits;
    uint32_t count, crc;
    if (r->proved[run])
        return 0;
    int error = read_row(r, run, &row, &bits);
    if (error == 0)
        error = add_up_run(r, run, &count, &crc);
    if (error == 0 && (count != row.key_count || crc != row.keys_crc))
        error = EBADMSG;
    r->proved[run] = error == 0;
    return error;
}

int key_runs_find(struct key_runs *r, uint32_t run, const struct sha256 *digest, struct key_value *out)
{
    assert(run < r->state.run_count);
    uint8_t key[RUN_KEY_BYTES];
    run_key(run, digest, key);
    MDB_val k = val(key, sizeof key), v;
    int error = errno_of(mdb_txn_renew(r->reading));
    if (error)
        return error;
    error = prove(r, run);
    if (error == 0)
        error = errno_of(mdb_get(r->reading, r->keys, &k, &v));
    if (error == 0)
        error = read_value(v, out);
    mdb_txn_reset(r->reading);
    return error;
}

/* --- writing --- */

static int put_row(struct key_runs *r, MDB_txn *txn, const struct new_run *run, uint32_t keys_crc)
{
    size_t bytes = (size_t)1 << (run->filter_log2 - 3);
    uint8_t number[4];
    struct key_run_row row = {
        .key_count = (uint32_t)run->count,
        .keys_crc = keys_crc,
        .filter_log2 = run->filter_log2,
        .filter_crc = crc32c(0, run->filter, bytes),
    };
    MDB_val k = val(number, number_key(r->state.run_count, number)), v = val(NULL, sizeof row + bytes);
    int error = mdb_put(txn, r->runs, &k, &v, MDB_RESERVE);
    if (error)
        return error;
    memcpy(v.mv_data, &row, sizeof row);
    memcpy((uint8_t *)v.mv_data + sizeof row, run->filter, bytes);
    return 0;
}

static int put_run(struct key_runs *r, MDB_txn *txn, const struct new_run *run)
{
    uint32_t crc = 0;
    int error = 0;
    for (size_t n = 0; error == 0 && n < run->count; n++) {
        const struct hot_key *key = &run->keys[n];
        struct key_value value = {key->seq, key->at_us, key->tx_id};
        uint8_t name[RUN_KEY_BYTES];
        run_key(r->state.run_count, &key->digest, name);
        crc = key_run_crc(crc, &key->digest, &value);
        MDB_val k = val(name, sizeof name), v = val(&value, sizeof value);
        error = mdb_put(txn, r->keys, &k, &v, MDB_APPEND);
    }
    if (error == 0)
        error = put_row(r, txn, run, crc);
    MDB_val k = val(KEY_STATE_KEY, strlen(KEY_STATE_KEY)), v = val(&run->state, sizeof run->state);
    return error ? error : mdb_put(txn, r->state_table, &k, &v, 0);
}

int key_runs_write(struct key_runs *r, struct new_run *run)
{
    MDB_txn *txn;
    run->state.version = KEY_SCHEMA_VERSION;
    run->state.run_count = r->state.run_count + 1;
    run->state.key_count = r->state.key_count + run->count;
    run->state.crc = key_state_crc(&run->state);
    int error = keep_marked(r);
    if (error)
        return error;
    error = mdb_txn_begin(r->env, NULL, 0, &txn);
    if (error == 0) {
        error = put_run(r, txn, run);
        if (error)
            mdb_txn_abort(txn);
        else
            error = mdb_txn_commit(txn); /* synced */
    }
    if (error)
        return errno_of(error);
    r->marked = false;
    if (keep_marked(r) != 0)
        report(REPORT_DEBUG, "the spilled keys are not marked; the next spill marks them first");
    return 0;
}

void key_runs_publish(struct key_runs *r, const struct new_run *run)
{
    make_room_for_proofs(r, run->state.run_count);
    r->proved[r->state.run_count] = true;
    r->state = run->state;
}
