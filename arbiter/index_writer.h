#ifndef TALEA_ARBITER_INDEX_WRITER_H
#define TALEA_ARBITER_INDEX_WRITER_H
/*
 * The writing side of <dir>/index: an LMDB environment with MDB_WRITEMAP and
 * MDB_NOSYNC. The death of a process leaves it whole; the death of the
 * operating system does not, so index_state.h decides at the start whether it
 * may be opened at all.
 *
 * The map grows in steps, and each step is allocated on the disk first: a
 * hole in a sparse map on a full disk would be a SIGBUS.
 *
 * All return 0, ENOENT (get alone) or another errno.
 */
#include <stddef.h>
#include <stdint.h>

#include "common/bytes.h"
#include "common/index_schema.h"

struct index_writer;

/* Opens <path> (the folder), making an empty environment where there is none. */
int index_writer_open(const char *path, struct index_writer **out) __attribute__((warn_unused_result));
void index_writer_close(struct index_writer **writer);

/*
 * Looks up in the committed state, or, between begin and commit, in what the
 * transaction makes of it. The slice is valid until the next put or commit.
 */
int index_writer_get(struct index_writer *writer, enum index_table table, const void *key, size_t key_len,
                     struct bytes *value) __attribute__((warn_unused_result));

/*
 * Makes room for a transaction of `put_count` puts of `put_bytes` in all, by
 * growing the file. ENOSPC and EDQUOT leave all as it was. Between begin and
 * commit the room is for the next transaction, and EBUSY says that the file
 * would have to grow, which it cannot before the commit.
 */
int index_writer_reserve(struct index_writer *writer, uint64_t put_count, uint64_t put_bytes)
    __attribute__((warn_unused_result));

/* One transaction: begin with room for `put_count` puts of `put_bytes` in all, put, commit. */
int index_writer_begin(struct index_writer *writer, uint64_t put_count, uint64_t put_bytes)
    __attribute__((warn_unused_result));
int index_writer_put(struct index_writer *writer, enum index_table table, const void *key, size_t key_len,
                     const void *value, size_t value_len) __attribute__((warn_unused_result));
/* Puts some parts, one behind the other, as one value. */
int index_writer_put_parts(struct index_writer *writer, enum index_table table, const void *key, size_t key_len,
                           const struct bytes *parts, size_t count) __attribute__((warn_unused_result));
/*
 * Between these two all puts go into one table. A cursor remembers the page of
 * the last one, so many puts in key order cost less. Abort ends it too.
 */
int index_writer_sweep(struct index_writer *writer, enum index_table table) __attribute__((warn_unused_result));
void index_writer_sweep_end(struct index_writer *writer);

int index_writer_commit(struct index_writer *writer) __attribute__((warn_unused_result));
void index_writer_abort(struct index_writer *writer);

/* Hands a little of what is dirty over to the disk; to be called after commits. */
void index_writer_write_behind(struct index_writer *writer);

/* Brings all of it to stable storage: before it is marked clean. */
int index_writer_sync(struct index_writer *writer) __attribute__((warn_unused_result));

/* How many first bytes of data.mdb hold anything. */
uint64_t index_writer_used_bytes(struct index_writer *writer);

/* Frees the places in the reader table that dead processes left. */
void index_writer_clear_dead_readers(struct index_writer *writer);

#endif
