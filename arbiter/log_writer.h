#ifndef TALEA_ARBITER_LOG_WRITER_H
#define TALEA_ARBITER_LOG_WRITER_H
/*
 * Appending batches to the log, one unsynced batch at a time.
 *
 * The space that a batch will take is filled with zeros and synced before
 * (log_writer_reserve), so that a full disk is met before anything is half
 * written and an append changes no file size. A failed write or fdatasync in
 * an append is final: the caller acknowledges nothing of that batch, never
 * appends again and ends the process; the next start proves the tail.
 *
 * Arbiter alone, one at a time.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/bytes.h"
#include "common/digest.h"
#include "common/uuid7.h"

/* The end of the log: what the next batch continues. */
struct log_head {
    struct uuid ledger;
    uint64_t segment;    /* position of the segment that is written */
    uint64_t position;   /* of the next batch */
    uint64_t next_batch; /* its number */
    struct sha256 chain; /* before it */
};

struct log_writer;

/* Makes the first segment of a new ledger. 0 or errno. */
int log_create(const char *data_dir, struct log_head *out) __attribute__((warn_unused_result));

/*
 * Opens the segment that `head` names, and writes and syncs anew what may be in
 * the page cache alone: the batch from `last_batch` to the head (after a failed
 * fdatasync the kernel shows data that it has given up to write), and zeros up
 * to the file's end. `segment_sealed` says that the last batch ended that segment: the
 * next one is begun. 0 or errno.
 */
int log_writer_open(const char *data_dir, const struct log_head *head, uint64_t last_batch, int segment_sealed,
                    uint64_t segment_max_bytes, struct log_writer **out) __attribute__((warn_unused_result));
void log_writer_close(struct log_writer **writer);

/* The end of what is durable. */
const struct log_head *log_writer_head(const struct log_writer *writer);
/* Where the next batch will lie: behind the one that is under way, if one is. */
const struct log_head *log_writer_next(const struct log_writer *writer);

/*
 * Makes room for a batch with a payload of up to `payload_bytes` (and the seal
 * behind it), beginning a new segment when the present one is full. After 0,
 * log_writer_next tells where the batch will lie. EBUSY: that cannot be done
 * before the batch under way has ended. ENOSPC or EDQUOT leave the log as it
 * was; any other error is final.
 */
int log_writer_reserve(struct log_writer *writer, uint64_t payload_bytes) __attribute__((warn_unused_result));

/* Is it time to reserve ahead, while there is nothing else to do? */
int log_writer_wants_room(const struct log_writer *writer);

/*
 * Writes one batch and syncs it, into the room that was reserved for it; the
 * payload is copied. With `goes_on_meanwhile` a thread does it: for a caller
 * that has something else to do until the end. No other batch is under way.
 */
void log_writer_begin(struct log_writer *writer, struct bytes payload, uint32_t event_count, int64_t at_us,
                      bool goes_on_meanwhile);

/*
 * Waits for the batch that was begun: after 0 it is on stable storage, and
 * log_writer_head is behind it. *sync_ns is how long the fdatasync took. Any
 * error is final.
 */
int log_writer_end(struct log_writer *writer, uint64_t *sync_ns) __attribute__((warn_unused_result));

/* Writes the seal of a clean stop. */
int log_writer_seal(struct log_writer *writer, int64_t at_us) __attribute__((warn_unused_result));

#endif
