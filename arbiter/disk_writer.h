#ifndef TALEA_ARBITER_DISK_WRITER_H
#define TALEA_ARBITER_DISK_WRITER_H
/*
 * One write to a file and its fdatasync, by a thread of its own, so that the
 * commit path can go on meanwhile. One at a time.
 *
 * The thread calls pwritev and fdatasync, takes no lock and allocates nothing,
 * so the process may fork beside it.
 *
 * Arbiter alone, one at a time.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/bytes.h"

struct disk_writer;

/* The thread is started by the first disk_writer_begin. */
struct disk_writer *disk_writer_create(void);
/* Waits for what is under way. */
void disk_writer_destroy(struct disk_writer **writer);

/*
 * The bytes stay the caller's, and must stay as they are until
 * disk_writer_end. Without a thread all is done within this call; its end says
 * how it went all the same.
 */
void disk_writer_begin(struct disk_writer *writer, int fd, struct bytes bytes, uint64_t offset);

/* The same within the call: what nothing else could be done beside costs no change of threads. */
void disk_writer_do(struct disk_writer *writer, int fd, struct bytes bytes, uint64_t offset);

/*
 * Waits for the end. 0: the bytes are on stable storage; else errno, EIO for a
 * short write. *sync_ns is how long the fdatasync took.
 */
int disk_writer_end(struct disk_writer *writer, uint64_t *sync_ns) __attribute__((warn_unused_result));

#endif
