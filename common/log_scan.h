#ifndef TALEA_COMMON_LOG_SCAN_H
#define TALEA_COMMON_LOG_SCAN_H
/*
 * One segment of the log, read from front to back and proved batch by batch:
 * CRC, own position, number, chain value. For whoever goes through the log
 * (recovery, verify, backup, dump); single events are log_reader.h's.
 *
 * Reads with pread(2), never through a mapping: a bad sector is an error here
 * and no SIGBUS, and neither is a segment that its writer cuts meanwhile.
 * Beside a running arbiter give `end`, a position known to be durable (the
 * index's): nothing behind it is looked at.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/log_format.h"

/* A place between two batches, and what is known there. */
struct log_mark {
    uint64_t position; /* of the batch that follows */
    uint64_t next_batch;
    struct sha256 chain; /* before it */
    struct uuid ledger;
};

struct log_scan;

/*
 * Opens the segment that begins at position `segment` and checks its header.
 * *out is made in any case but ENOENT and other errno values of open(2) and
 * read(2), so that the path can be named:
 * 0; EBADMSG: no header, or a damaged one; ENOTSUP: a newer format version;
 * EXDEV: the header names another position than the file's name; or errno with *out NULL.
 */
int log_scan_open(const char *data_dir, uint64_t segment, uint64_t end, struct log_scan **out)
    __attribute__((warn_unused_result));
void log_scan_close(struct log_scan **scan);

const char *log_scan_path(const struct log_scan *scan);
const struct segment_header *log_scan_header(const struct log_scan *scan); /* version is set for ENOTSUP too */
uint64_t log_scan_segment(const struct log_scan *scan); /* position of the first byte */
uint64_t log_scan_size(const struct log_scan *scan);    /* of the file, or up to `end` */

/* The place of the segment's first batch, as its header has it. */
struct log_mark log_scan_begin(const struct log_scan *scan);

/*
 * Proves the batch at `mark`. 0: it is good, *header and *payload (the scan's,
 * valid until the next call) are it and *mark stands behind it; ENODATA: the
 * file ends at the mark; EBADMSG: what is there is no good batch, and
 * log_scan_fault says why; or errno of read(2).
 */
int log_scan_next(struct log_scan *scan, struct log_mark *mark, struct batch_header *header, struct bytes *payload)
    __attribute__((warn_unused_result));
/* The batch that log_scan_next has just answered, from its header to its padding, as it lies in the file. */
struct bytes log_scan_whole(const struct batch_header *header, struct bytes payload);
const char *log_scan_fault(const struct log_scan *scan); /* "its CRC does not match" */

/*
 * Does any whole batch, later than the one that belongs at `mark`, stand behind
 * it? It would prove that what is before it was durable. 0 with *found or errno.
 */
int log_scan_find_later(struct log_scan *scan, const struct log_mark *mark, bool *found)
    __attribute__((warn_unused_result));

/* Are all bytes from file offset `offset` to the end zero? 0 with *zero or errno. */
int log_scan_rest_is_zero(struct log_scan *scan, uint64_t offset, bool *zero) __attribute__((warn_unused_result));

#endif
