#ifndef TALEA_ARBITER_LOG_RECOVERY_H
#define TALEA_ARBITER_LOG_RECOVERY_H
/*
 * Proving the log at the start: every batch from a known place to the end is
 * read, checked (CRC, position, number, chain) and handed to a visitor; then
 * the end is judged by the table of talea-log(5), RECOVERY:
 *
 *   bad or missing bytes, nothing valid beyond, no witness -> a torn batch that
 *     was never answered: cut, with one warning
 *   bad bytes, and a valid batch beyond -> damaged history: refuse
 *   the log ends before a witnessed position -> refuse
 *   bad bytes in a segment that is not the last -> refuse
 *
 * What is refused is reported here in one line.
 */
#include <stdint.h>

#include "arbiter/log_writer.h"
#include "common/log_scan.h"
#include "common/progress.h"

/* A batch's position is that of its header. Non-zero ends the recovery with that error (the visitor has reported it). */
typedef int log_batch_fn(void *context, const struct batch_header *header, struct bytes payload,
                         const struct log_mark *after);

struct log_recovery_plan {
    const struct log_mark *from; /* NULL: the genesis */
    uint64_t witness;            /* up to here the log is known to have been durable; 0: not known */
    const char *witness_name;    /* by what */
    log_batch_fn *visit;
    void *context;
    progress_fn *progress; /* may be NULL */
    void *progress_context;
};

struct recovered_log {
    struct log_head head;
    uint64_t last_batch; /* position of the batch before the head, in the head's segment; the head's when there is none */
    int segment_sealed; /* the last batch ended its segment, no successor is there yet */
};

/*
 * Opens nothing for good and writes only to cut a torn tail.
 * 0; ENOENT: there is no log; EUCLEAN: refused, reported; or errno, reported.
 */
int log_recover(const char *data_dir, const struct log_recovery_plan *plan, struct recovered_log *out)
    __attribute__((warn_unused_result));

/* The uuid of the log's ledger. ENOENT: there is no log; else as above. */
int log_identify(const char *data_dir, struct uuid *ledger) __attribute__((warn_unused_result));

#endif
