#ifndef TALEA_SERVER_SEGMENT_COPY_H
#define TALEA_SERVER_SEGMENT_COPY_H
/*
 * One segment of a log, made in another ledger's directory. Until it is
 * finished it has a temporary name, also when it is a longer form of one that
 * is there: so the copy's log is whole at every moment.
 *
 * It is written at the pace of common/paced_file, so that there is never more
 * than one chunk of it in the way of the syncs of a server on the same disk.
 */
#include "common/bytes.h"
#include "common/log_format.h"

struct segment_copy;

/*
 * Begins <dir>/log/segment.next: with the header, or, when the segment is there
 * already, with its first `keep` bytes. 0 or errno.
 */
int segment_copy_begin(const char *data_dir, const struct segment_header *header, uint64_t keep,
                       struct segment_copy **out) __attribute__((warn_unused_result));

int segment_copy_append(struct segment_copy *copy, struct bytes bytes) __attribute__((warn_unused_result));

/* Syncs it and gives it its name; releases it in any case. 0 or errno. */
int segment_copy_finish(struct segment_copy **copy) __attribute__((warn_unused_result));

/* Releases it and leaves what was there before. */
void segment_copy_abandon(struct segment_copy **copy);

#endif
