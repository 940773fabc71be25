#include "arbiter/idempotency.h"

/*
 * <dir>/idempotency has two tables: "keys" (run BE4, digest -> struct
 * spilled) and "state" ("state" -> struct spill_state). One spill is one LMDB
 * transaction that is synced when it commits, so the mark never runs ahead of
 * the keys.
 */
#include <assert.h>
#include <errno.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "arbiter/directory.h"
#include "arbiter/hot_keys.h"
#include "arbiter/key_filter.h"
#include "common/data_dir.h"
#include "common/exit_status.h"
#include "common/index_schema.h"
#include "common/little_endian.h"
#include "common/report.h"

#define SPILL_VERSION 1
#define SPILL_KEYS_MAX 65536
#define MAP_BYTES (1ull << 40) /* address space alone: without MDB_WRITEMAP the file grows as it is written */
#define KEY_BYTES (4 + SHA256_SIZE)

struct spilled {
    uint64_t seq;
    int64_t at_us;
    struct uuid tx_id;
};
_Static_assert(sizeof(struct spilled) == 32, "file format");

struct spill_state {
    uint32_t version;
    uint32_t run_count;
    uint64_t key_count;
    uint64_t position; /* in the log: every key before it is here */
    uint64_t next_batch;
    struct sha256 chain;
    struct uuid ledger;
};
_Static_assert(sizeof(struct spill_state) == 80, "file format");

struct idempotency {
    MDB_env *env;
    MDB_dbi keys, state_table;
    MDB_txn *reading; /* reset between looks */
    struct spill_state state;
    struct hot_keys *hot;
    struct key_filter *filter;
    uint64_t hot_cap;
    uint64_t unspilled; /* number of the first hot key that is not on disk */
};

static int errno_of(int mdb_error)
{
    return mdb_error >= 0 ? mdb_error : EIO;
}

struct sha256 idempotency_digest(struct bytes book, struct bytes key)
{
    uint8_t length[4];
    put_u32(length, (uint32_t)book.len);
    struct bytes parts[] = {bytes_of(length, sizeof length), book, key};
    return sha256_of(parts, 3);
}

/* --- opening --- */

static int open_tables(struct idempotency *i)
{
    MDB_txn *txn;
    int error = mdb_txn_begin(i->env, NULL, 0, &txn);
    if (error)
        return error;
    error = mdb_dbi_open(txn, "keys", MDB_CREATE, &i->keys);
    if (error == 0)
        error = mdb_dbi_open(txn, "state", MDB_CREATE, &i->state_table);
    if (error) {
        mdb_txn_abort(txn);
        return error;
    }
    return mdb_txn_commit(txn);
}

static int open_environment(struct idempotency *i, const char *path)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return errno;
    int error = mdb_env_create(&i->env);
    if (error == 0)
        error = mdb_env_set_maxdbs(i->env, 2);
    if (error == 0)
        error = mdb_env_set_mapsize(i->env, MAP_BYTES);
    if (error == 0)
        error = mdb_env_open(i->env, path, MDB_NOTLS, 0600);
    if (error == 0)
        error = open_tables(i);
    if (error == 0)
        error = mdb_txn_begin(i->env, NULL, MDB_RDONLY, &i->reading);
    return error;
}

static void close_environment(struct idempotency *i)
{
    if (i->reading)
        mdb_txn_abort(i->reading);
    if (i->env)
        mdb_env_close(i->env);
    i->reading = NULL;
    i->env = NULL;
}

/* 0 with the state read; ENOENT: it is new; EBADMSG: not ours. */
static int read_state(struct idempotency *i, struct uuid ledger)
{
    MDB_val k = {5, (void *)"state"}, v;
    int error = mdb_get(i->reading, i->state_table, &k, &v);
    if (error == MDB_NOTFOUND)
        return ENOENT;
    if (error || v.mv_size != sizeof i->state)
        return EBADMSG;
    memcpy(&i->state, v.mv_data, sizeof i->state);
    if (i->state.version != SPILL_VERSION || memcmp(&i->state.ledger, &ledger, sizeof ledger) != 0)
        return EBADMSG;
    return 0;
}

/* Every spilled key into the filter; and their number must be what the state says. */
static int fill_filter(struct idempotency *i)
{
    MDB_cursor *cursor;
    MDB_val k, v;
    uint64_t count = 0;
    int error = mdb_cursor_open(i->reading, i->keys, &cursor);
    if (error)
        return EBADMSG;
    while ((error = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0) {
        struct sha256 digest;
        if (k.mv_size != KEY_BYTES || v.mv_size != sizeof(struct spilled))
            break;
        memcpy(&digest, (uint8_t *)k.mv_data + 4, sizeof digest);
        key_filter_add(i->filter, &digest);
        count++;
    }
    mdb_cursor_close(cursor);
    return error == MDB_NOTFOUND && count == i->state.key_count ? 0 : EBADMSG;
}

static int load(struct idempotency *i, const char *path, struct uuid ledger)
{
    int error = errno_of(open_environment(i, path));
    if (error == 0)
        error = read_state(i, ledger);
    if (error == 0)
        error = fill_filter(i);
    if (i->reading)
        mdb_txn_reset(i->reading);
    return error;
}

int idempotency_open(const char *data_dir, struct uuid ledger, uint64_t hot_cap, struct idempotency **out,
                     bool *has_mark, struct log_mark *mark)
{
    struct idempotency *i = calloc(1, sizeof *i);
    if (!i)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    i->hot_cap = hot_cap;
    i->hot = hot_keys_create();
    i->filter = key_filter_create();
    char *path = data_dir_path(data_dir, DATA_DIR_IDEMPOTENCY);
    int error = load(i, path, ledger);
    *has_mark = error == 0;
    if (error && error != ENOENT) {
        report(REPORT_WARNING, "%s is damaged or another ledger's (%s): thrown away, its keys are read from the log",
               path, strerror(error));
        close_environment(i);
        key_filter_destroy(&i->filter);
        i->filter = key_filter_create();
        i->state = (struct spill_state){0};
        error = directory_remove(data_dir, DATA_DIR_IDEMPOTENCY);
        if (error == 0)
            error = load(i, path, ledger);
    }
    free(path);
    if (error && error != ENOENT) {
        idempotency_close(&i);
        return error;
    }
    if (*has_mark)
        *mark = (struct log_mark){i->state.position, i->state.next_batch, i->state.chain, i->state.ledger};
    i->state.version = SPILL_VERSION;
    i->state.ledger = ledger;
    *out = i;
    return 0;
}

void idempotency_close(struct idempotency **idempotency)
{
    struct idempotency *i = *idempotency;
    if (!i)
        return;
    close_environment(i);
    hot_keys_destroy(&i->hot);
    key_filter_destroy(&i->filter);
    free(i);
    *idempotency = NULL;
}

/* --- looking --- */

static void run_key(uint32_t run, const struct sha256 *digest, uint8_t out[static KEY_BYTES])
{
    number_key(run, out);
    memcpy(out + 4, digest->octets, SHA256_SIZE);
}

static bool find_spilled(struct idempotency *i, const struct sha256 *digest, struct committed *out)
{
    bool found = false;
    int error = mdb_txn_renew(i->reading);
    for (uint32_t run = i->state.run_count; error == 0 && !found && run-- > 0;) {
        uint8_t key[KEY_BYTES];
        run_key(run, digest, key);
        MDB_val k = {sizeof key, key}, v;
        error = mdb_get(i->reading, i->keys, &k, &v);
        if (error == 0 && v.mv_size == sizeof(struct spilled)) {
            struct spilled spilled;
            memcpy(&spilled, v.mv_data, sizeof spilled);
            *out = (struct committed){spilled.seq, spilled.at_us, spilled.tx_id};
            found = true;
        } else if (error == MDB_NOTFOUND) {
            error = 0;
        }
    }
    mdb_txn_reset(i->reading);
    /* "Not found" would post twice: with no answer from the disk there is none to give. */
    if (error)
        report_fatal(EXIT_STATUS_FAILED, "cannot read the spilled idempotency keys: %s", mdb_strerror(error));
    return found;
}

bool idempotency_find(struct idempotency *i, const struct sha256 *digest, struct committed *out)
{
    const struct hot_key *hot = hot_keys_find(i->hot, digest);
    if (hot) {
        *out = (struct committed){hot->seq, hot->at_us, hot->tx_id};
        return true;
    }
    return key_filter_may_contain(i->filter, digest) && find_spilled(i, digest, out);
}

void idempotency_add(struct idempotency *i, const struct sha256 *digest, const struct committed *committed)
{
    hot_keys_add(i->hot, &(struct hot_key){*digest, committed->seq, committed->at_us, committed->tx_id});
}

/* --- spilling --- */

static int compare_hot_keys(const void *a, const void *b)
{
    const struct hot_key *const *x = a, *const *y = b;
    return memcmp((*x)->digest.octets, (*y)->digest.octets, SHA256_SIZE);
}

/* All keys from i->unspilled on, sorted; newly allocated. */
static const struct hot_key **sorted_unspilled(struct idempotency *i, size_t *count)
{
    *count = (size_t)(hot_keys_end(i->hot) - i->unspilled);
    const struct hot_key **sorted = malloc(*count * sizeof *sorted);
    if (!sorted)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory while spilling idempotency keys");
    for (size_t n = 0; n < *count; n++)
        sorted[n] = hot_keys_at(i->hot, i->unspilled + n);
    qsort(sorted, *count, sizeof *sorted, compare_hot_keys);
    return sorted;
}

static int put_run(struct idempotency *i, MDB_txn *txn, const struct hot_key **sorted, size_t count,
                   const struct spill_state *state)
{
    int error = 0;
    for (size_t n = 0; error == 0 && n < count; n++) {
        uint8_t key[KEY_BYTES];
        struct spilled spilled = {sorted[n]->seq, sorted[n]->at_us, sorted[n]->tx_id};
        run_key(i->state.run_count, &sorted[n]->digest, key);
        MDB_val k = {sizeof key, key}, v = {sizeof spilled, &spilled};
        error = mdb_put(txn, i->keys, &k, &v, MDB_APPEND);
    }
    MDB_val k = {5, (void *)"state"}, v = {sizeof *state, (void *)state};
    return error ? error : mdb_put(txn, i->state_table, &k, &v, 0);
}

static int spill(struct idempotency *i, const struct log_mark *mark)
{
    size_t count;
    const struct hot_key **sorted = sorted_unspilled(i, &count);
    struct spill_state state = i->state;
    state.run_count++;
    state.key_count += count;
    state.position = mark->position;
    state.next_batch = mark->next_batch;
    state.chain = mark->chain;
    MDB_txn *txn;
    int error = mdb_txn_begin(i->env, NULL, 0, &txn);
    if (error == 0) {
        error = put_run(i, txn, sorted, count, &state);
        if (error)
            mdb_txn_abort(txn);
        else
            error = mdb_txn_commit(txn); /* synced */
    }
    if (error == 0) {
        for (size_t n = 0; n < count; n++)
            key_filter_add(i->filter, &sorted[n]->digest);
        i->state = state;
        i->unspilled = hot_keys_end(i->hot);
    }
    free(sorted);
    return errno_of(error);
}

/* Keys are copied to the disk long before they leave the memory, so a start has little to read again. */
static uint64_t spill_after(const struct idempotency *i)
{
    uint64_t quarter = i->hot_cap / 4 + 1;
    return quarter < SPILL_KEYS_MAX ? quarter : SPILL_KEYS_MAX;
}

int idempotency_settle(struct idempotency *i, const struct log_mark *mark)
{
    int error = 0;
    if (hot_keys_end(i->hot) - i->unspilled >= spill_after(i))
        error = spill(i, mark);
    while (hot_keys_end(i->hot) - hot_keys_first(i->hot) > i->hot_cap && hot_keys_first(i->hot) < i->unspilled)
        hot_keys_drop_oldest(i->hot);
    return error;
}

uint64_t idempotency_hot_count(const struct idempotency *i)
{
    return hot_keys_end(i->hot) - hot_keys_first(i->hot);
}

uint64_t idempotency_spilled_count(const struct idempotency *i)
{
    return i->state.key_count;
}
