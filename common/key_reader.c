#include "common/key_reader.h"

/* One read transaction and one cursor; each run is checked against its row when it has been read. */
#include <errno.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/data_dir.h"
#include "common/exit_status.h"
#include "common/index_schema.h"
#include "common/key_mark.h"
#include "common/report.h"

#define MAP_BYTES (1ull << 40)

struct key_reader {
    MDB_env *env;
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_dbi keys, runs, state_table;
    struct key_state state;
    uint32_t run; /* that is being read */
    uint32_t run_keys, run_crc;
};

static int errno_of(int mdb_error)
{
    return mdb_error == MDB_NOTFOUND ? ENOENT : mdb_error >= 0 ? mdb_error : EBADMSG;
}

static void end(struct key_reader *r)
{
    if (r->cursor)
        mdb_cursor_close(r->cursor);
    if (r->txn)
        mdb_txn_abort(r->txn);
    r->cursor = NULL;
    r->txn = NULL;
}

/* The arbiter may commit meanwhile, or be about to write its first. */
static int check_mark(const char *path)
{
    int error = key_mark_check(path);
    return error == ENOENT || error == ESTALE ? 0 : error;
}

int key_reader_open(const char *data_dir, struct key_reader **out)
{
    struct key_reader *r = calloc(1, sizeof *r);
    if (!r)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    char *path = data_dir_path(data_dir, DATA_DIR_IDEMPOTENCY);
    int error = access(path, F_OK) ? errno : check_mark(path);
    if (error == 0)
        error = mdb_env_create(&r->env);
    if (error == 0)
        error = mdb_env_set_maxdbs(r->env, 3);
    if (error == 0)
        error = mdb_env_set_mapsize(r->env, MAP_BYTES);
    if (error == 0)
        error = mdb_env_open(r->env, path, MDB_RDONLY | MDB_NOTLS, 0600);
    free(path);
    if (error)
        key_reader_close(&r);
    *out = r;
    return errno_of(error);
}

void key_reader_close(struct key_reader **reader)
{
    if (!*reader)
        return;
    end(*reader);
    if ((*reader)->env)
        mdb_env_close((*reader)->env);
    free(*reader);
    *reader = NULL;
}

static int read_state(struct key_reader *r)
{
    MDB_val k = {strlen(KEY_STATE_KEY), (void *)KEY_STATE_KEY}, v;
    int error = mdb_get(r->txn, r->state_table, &k, &v);
    if (error)
        return errno_of(error);
    if (v.mv_size != sizeof r->state)
        return EBADMSG;
    memcpy(&r->state, v.mv_data, sizeof r->state);
    return r->state.version == KEY_SCHEMA_VERSION && r->state.crc == key_state_crc(&r->state) ? 0 : EBADMSG;
}

int key_reader_begin(struct key_reader *r, struct key_reader_state *out)
{
    end(r);
    int error = mdb_txn_begin(r->env, NULL, MDB_RDONLY, &r->txn);
    if (error == 0)
        error = mdb_dbi_open(r->txn, KEY_TABLE_KEYS, 0, &r->keys);
    if (error == 0)
        error = mdb_dbi_open(r->txn, KEY_TABLE_RUNS, 0, &r->runs);
    if (error == 0)
        error = mdb_dbi_open(r->txn, KEY_TABLE_STATE, 0, &r->state_table);
    if (error == 0)
        error = mdb_cursor_open(r->txn, r->keys, &r->cursor);
    error = error ? errno_of(error) : read_state(r);
    if (error)
        return error;
    r->run = r->run_keys = r->run_crc = 0;
    *out = (struct key_reader_state){r->state.ledger, r->state.position, r->state.key_count, r->state.run_count};
    return 0;
}

/* Every key of the run has been read: are they what was written? Goes on to the next. */
static int finish_run(struct key_reader *r)
{
    uint8_t number[4];
    struct key_run_row row;
    MDB_val k = {number_key(r->run, number), number}, v;
    int error = mdb_get(r->txn, r->runs, &k, &v);
    if (error || v.mv_size < sizeof row)
        return EBADMSG;
    memcpy(&row, v.mv_data, sizeof row);
    if (row.key_count != r->run_keys || row.keys_crc != r->run_crc)
        return EBADMSG;
    r->run++;
    r->run_keys = r->run_crc = 0;
    return 0;
}

int key_reader_next(struct key_reader *r, struct spilled_key *out)
{
    MDB_val k, v;
    struct key_value value;
    int error = mdb_cursor_get(r->cursor, &k, &v, MDB_NEXT);
    if (error == MDB_NOTFOUND) {
        error = r->run_keys ? finish_run(r) : 0;
        return error ? error : r->run == r->state.run_count ? ENOENT : EBADMSG;
    }
    if (error)
        return errno_of(error);
    if (k.mv_size != RUN_KEY_BYTES || v.mv_size != sizeof value)
        return EBADMSG;
    uint32_t run = key_u32(k.mv_data);
    if (run != r->run && (error = finish_run(r)) != 0)
        return error;
    if (run != r->run)
        return EBADMSG;
    memcpy(&out->digest, (uint8_t *)k.mv_data + 4, sizeof out->digest);
    memcpy(&value, v.mv_data, sizeof value);
    r->run_keys++;
    r->run_crc = key_run_crc(r->run_crc, &out->digest, &value);
    out->seq = value.seq;
    out->at_us = value.at_us;
    out->tx_id = value.tx_id;
    return 0;
}
