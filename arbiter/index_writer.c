#include "arbiter/index_writer.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arbiter/directory.h"
#include "common/data_dir.h"
#include "common/exit_status.h"
#include "common/report.h"
#include "common/rfc3339.h"
#include "common/small_folios.h"

#define MAP_STEP_BYTES (16u << 20)
#define READERS_MAX 512
#define STEP_REST_NS 4000000u
#define STEPS_A_ROUND 4000 /* 16 s: the kernel writes what has been dirty for 30 */
#define STEP_BYTES_LEAST (256u << 10)

struct index_writer {
    MDB_env *env;
    MDB_txn *reading; /* renewed after every commit */
    MDB_txn *writing; /* between begin and commit or abort */
    MDB_dbi table[INDEX_TABLE_COUNT];
    MDB_cursor *sweep; /* over swept_table, between index_writer_sweep and index_writer_sweep_end */
    enum index_table swept_table;
    int data_fd; /* for fallocate alone */
    uint64_t file_bytes; /* when it was opened; 0: it was new */
    uint64_t map_bytes;
    uint64_t promised; /* of the map to the transaction that is written, and all that is used before it */
    uint64_t page_bytes;
    uint64_t handed_over; /* where the next step of writing behind begins */
    uint64_t stepped_ns;
};

static int errno_of(int mdb_error)
{
    if (mdb_error == MDB_NOTFOUND)
        return ENOENT;
    return mdb_error >= 0 ? mdb_error : EIO;
}

static uint64_t round_up(uint64_t bytes)
{
    return (bytes + MAP_STEP_BYTES - 1) / MAP_STEP_BYTES * MAP_STEP_BYTES;
}

static int open_data_file(struct index_writer *w, const char *path)
{
    struct stat st;
    char *file = data_dir_path(path, "data.mdb");
    w->data_fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int error = w->data_fd < 0 || fstat(w->data_fd, &st) != 0 ? errno : 0;
    free(file);
    if (error)
        return error;
    w->file_bytes = (uint64_t)st.st_size;
    w->map_bytes = round_up(st.st_size ? (uint64_t)st.st_size : 1);
    return 0;
}

static int allocate(struct index_writer *w, uint64_t bytes)
{
    int error;
    do
        error = posix_fallocate(w->data_fd, 0, (off_t)bytes);
    while (error == EINTR);
    return error;
}

static int open_environment(struct index_writer *w, const char *path)
{
    MDB_stat stat;
    int error = mdb_env_create(&w->env);
    if (error == 0)
        error = mdb_env_set_maxdbs(w->env, INDEX_TABLE_COUNT);
    if (error == 0)
        error = mdb_env_set_maxreaders(w->env, READERS_MAX);
    if (error == 0)
        error = mdb_env_set_mapsize(w->env, w->map_bytes);
    if (error == 0)
        error = mdb_env_open(w->env, path, MDB_WRITEMAP | MDB_NOSYNC | MDB_NOTLS | SMALL_FOLIOS_MDB, 0600);
    if (error == 0)
        error = mdb_env_stat(w->env, &stat);
    if (error == 0)
        w->page_bytes = stat.ms_psize;
    return error;
}

static int open_tables(struct index_writer *w)
{
    int error = mdb_txn_begin(w->env, NULL, 0, &w->writing);
    for (int i = 0; error == 0 && i < INDEX_TABLE_COUNT; i++)
        error = mdb_dbi_open(w->writing, index_table_names[i], MDB_CREATE, &w->table[i]);
    if (error == 0)
        error = mdb_txn_commit(w->writing);
    else if (w->writing)
        mdb_txn_abort(w->writing);
    w->writing = NULL;
    if (error == 0)
        error = mdb_txn_begin(w->env, NULL, MDB_RDONLY, &w->reading);
    return error;
}

/* LMDB would lengthen a file that lost its end, and take the zeros there for pages. */
static int check_length(struct index_writer *w)
{
    return w->file_bytes && w->file_bytes < index_writer_used_bytes(w) ? EBADMSG : 0;
}

int index_writer_open(const char *path, struct index_writer **out)
{
    struct index_writer *w = calloc(1, sizeof *w);
    if (!w)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    w->data_fd = -1;
    int error = directory_make(path);
    if (error == 0)
        error = directory_allocate_lock(path);
    if (error == 0)
        error = open_data_file(w, path);
    /* LMDB takes an empty file for a new environment, a preallocated one for a damaged one: allocate once it is open. */
    if (error == 0)
        error = errno_of(open_environment(w, path));
    if (error == 0)
        error = check_length(w);
    if (error == 0)
        error = allocate(w, w->map_bytes);
    if (error == 0)
        error = errno_of(open_tables(w));
    if (error)
        index_writer_close(&w);
    *out = w;
    return error;
}

void index_writer_close(struct index_writer **writer)
{
    struct index_writer *w = *writer;
    if (!w)
        return;
    if (w->reading)
        mdb_txn_abort(w->reading);
    if (w->env)
        mdb_env_close(w->env);
    if (w->data_fd >= 0)
        close(w->data_fd);
    free(w);
    *writer = NULL;
}

int index_writer_get(struct index_writer *w, enum index_table table, const void *key, size_t key_len,
                     struct bytes *value)
{
    MDB_val k = {key_len, (void *)key}, v;
    int error = mdb_get(w->writing ? w->writing : w->reading, w->table[table], &k, &v);
    if (error == 0)
        *value = bytes_of(v.mv_data, v.mv_size);
    return errno_of(error);
}

/*
 * The map can be replaced only while no transaction of this process is open.
 * LMDB gives the old one up before it has the new one: without that there is
 * none to read from, and no second try.
 */
static int grow_map(struct index_writer *w, uint64_t bytes)
{
    int error = allocate(w, bytes);
    if (error)
        return error;
    mdb_txn_reset(w->reading);
    error = mdb_env_set_mapsize(w->env, bytes);
    if (error)
        return error == ENOSPC || error == EDQUOT ? EIO : errno_of(error);
    w->map_bytes = bytes;
    return errno_of(mdb_txn_renew(w->reading));
}

uint64_t index_writer_used_bytes(struct index_writer *w)
{
    MDB_envinfo info;
    int error = mdb_env_info(w->env, &info);
    assert(error == 0); /* it fails without an environment alone */
    return ((uint64_t)info.me_last_pgno + 1) * w->page_bytes;
}

/*
 * A put may copy its leaf and split it. The branches over it are copied too,
 * but puts are sorted and share them; the constant is for these.
 */
static uint64_t needed_bytes(struct index_writer *w, uint64_t put_count, uint64_t put_bytes)
{
    uint64_t used = w->writing ? w->promised : index_writer_used_bytes(w);
    return used + (put_count * 2 + 1024) * w->page_bytes + 2 * put_bytes;
}

int index_writer_reserve(struct index_writer *w, uint64_t put_count, uint64_t put_bytes)
{
    uint64_t need = needed_bytes(w, put_count, put_bytes);
    if (need <= w->map_bytes)
        return 0;
    if (w->writing)
        return EBUSY;
    uint64_t comfortable = w->map_bytes + w->map_bytes / 4;
    int error = need < comfortable ? grow_map(w, round_up(comfortable)) : ENOSPC;
    return error == ENOSPC || error == EDQUOT ? grow_map(w, round_up(need)) : error;
}

int index_writer_begin(struct index_writer *w, uint64_t put_count, uint64_t put_bytes)
{
    assert(!w->writing);
    int error = index_writer_reserve(w, put_count, put_bytes);
    w->promised = needed_bytes(w, put_count, put_bytes);
    return error ? error : errno_of(mdb_txn_begin(w->env, NULL, 0, &w->writing));
}

int index_writer_sweep(struct index_writer *w, enum index_table table)
{
    assert(w->writing && !w->sweep);
    w->swept_table = table;
    return errno_of(mdb_cursor_open(w->writing, w->table[table], &w->sweep));
}

void index_writer_sweep_end(struct index_writer *w)
{
    if (w->sweep)
        mdb_cursor_close(w->sweep);
    w->sweep = NULL;
}

int index_writer_put(struct index_writer *w, enum index_table table, const void *key, size_t key_len,
                     const void *value, size_t value_len)
{
    struct bytes whole = bytes_of(value, value_len);
    return index_writer_put_parts(w, table, key, key_len, &whole, 1);
}

int index_writer_put_parts(struct index_writer *w, enum index_table table, const void *key, size_t key_len,
                           const struct bytes *parts, size_t count)
{
    assert(w->writing);
    MDB_val k = {key_len, (void *)key}, v = {0, NULL};
    for (size_t i = 0; i < count; i++)
        v.mv_size += parts[i].len;
    assert(!w->sweep || table == w->swept_table);
    int error = w->sweep ? mdb_cursor_put(w->sweep, &k, &v, MDB_RESERVE)
                         : mdb_put(w->writing, w->table[table], &k, &v, MDB_RESERVE);
    if (error)
        return errno_of(error);
    uint8_t *to = v.mv_data;
    for (size_t i = 0; i < count; to += parts[i++].len)
        if (parts[i].len)
            memcpy(to, parts[i].base, parts[i].len);
    return 0;
}

int index_writer_commit(struct index_writer *w)
{
    assert(w->writing && !w->sweep);
    mdb_txn_reset(w->reading);
    int error = mdb_txn_commit(w->writing);
    w->writing = NULL;
    int renewed = mdb_txn_renew(w->reading);
    return errno_of(error ? error : renewed);
}

void index_writer_abort(struct index_writer *w)
{
    index_writer_sweep_end(w);
    if (w->writing)
        mdb_txn_abort(w->writing);
    w->writing = NULL;
}

/*
 * One small step at a time goes round the file. What is dirty there is on its
 * way to the disk long before the kernel finds it old, and writes all of it at
 * once. Whether it gets there is no matter, so nothing is waited for.
 */
void index_writer_write_behind(struct index_writer *w)
{
    uint64_t now = clock_monotonic_ns();
    if (now - w->stepped_ns < STEP_REST_NS)
        return;
    w->stepped_ns = now;
    uint64_t step = w->map_bytes / STEPS_A_ROUND;
    if (step < STEP_BYTES_LEAST)
        step = STEP_BYTES_LEAST;
    if (w->handed_over >= w->map_bytes)
        w->handed_over = 0;
    (void)sync_file_range(w->data_fd, (off_t)w->handed_over, (off_t)step, SYNC_FILE_RANGE_WRITE);
    w->handed_over += step;
}

int index_writer_sync(struct index_writer *w)
{
    return errno_of(mdb_env_sync(w->env, 1));
}

void index_writer_clear_dead_readers(struct index_writer *w)
{
    int dead;
    int error = mdb_reader_check(w->env, &dead);
    if (error)
        report(REPORT_WARNING, "cannot check the index's reader table: %s", mdb_strerror(error));
}
