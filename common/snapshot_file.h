#ifndef TALEA_COMMON_SNAPSHOT_FILE_H
#define TALEA_COMMON_SNAPSHOT_FILE_H
/*
 * Snapshots on disk: <dir>/snapshots/snapshot-<position, 20 digits>.mdb, a
 * compacted copy of the index's data.mdb as of that log position, and behind
 * it a trailer of 48 bytes:
 *
 *    0  8  magic "TALEASNP"
 *    8  8  length of the copy, which is what is before the trailer
 *   16  8  position
 *   24 16  uuid of the ledger
 *   40  4  CRC-32C of the copy
 *   44  4  CRC-32C of bytes 0..43
 *
 * Integers are little-endian.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/paced_file.h"
#include "common/progress.h"
#include "common/uuid7.h"

/* Position of the newest snapshot before position `below` by its name; 0 when there is none. 0 or errno. */
int snapshot_newest_below(const char *data_dir, uint64_t below, uint64_t *position) __attribute__((warn_unused_result));

/* Its path, newly allocated. */
char *snapshot_path(const char *data_dir, uint64_t position);

/* 0 with the position that a file's name (no path) says, or EINVAL for a name that is none. */
int snapshot_name_parse(const char *name, uint64_t *position) __attribute__((warn_unused_result));

/*
 * The newest one that may be this ledger's: all but those whose good trailer
 * names another (so one with a bad trailer still counts by its name: it may
 * witness how far the log must reach). *foreign is the newest that was passed
 * over, 0 when there is none. 0 or errno.
 */
int snapshot_newest_of(const char *data_dir, struct uuid ledger, uint64_t *position, uint64_t *foreign)
    __attribute__((warn_unused_result));

struct snapshot_trailer {
    uint64_t length;
    uint64_t position;
    struct uuid ledger;
    uint32_t crc;
};

/*
 * Puts the trailer behind a copy that was written to `fd` (open for reading and
 * writing). Syncs nothing. 0 or errno.
 */
int snapshot_seal(int fd, uint64_t position, struct uuid ledger) __attribute__((warn_unused_result));

/* The same with what is known already. */
int snapshot_write_trailer(int fd, const struct snapshot_trailer *trailer) __attribute__((warn_unused_result));

/*
 * 0; ENOENT: it is being removed; EBADMSG: no trailer, or one that does not fit
 * the file; or errno. Does not read the copy. While `fd` is open the file stays
 * whole, also when the server removes it (paced_unlink).
 */
int snapshot_read_trailer(int fd, struct snapshot_trailer *out) __attribute__((warn_unused_result));

/*
 * Does the file hold what was written? Reads it all. 0 with *fd, which the
 * caller closes when he is done with the file; EBADMSG or errno.
 */
int snapshot_check(const char *path, struct snapshot_trailer *out, int *fd) __attribute__((warn_unused_result));

/*
 * Copies what is before the trailer from `in` to the front of `out`, and proves
 * it on the way. 0 with *trailer; EBADMSG: it is damaged, and what was copied
 * is good for nothing; or errno.
 */
int snapshot_copy(int in, int out, struct snapshot_trailer *trailer, struct progress *progress)
    __attribute__((warn_unused_result));

/*
 * The same with the trailer, beside a server: at the pace of common/paced_file,
 * and what is read leaves the page cache. The copy is synced.
 */
int snapshot_copy_paced(int in, struct paced_file *out, struct snapshot_trailer *trailer, struct progress *progress)
    __attribute__((warn_unused_result));

#endif
