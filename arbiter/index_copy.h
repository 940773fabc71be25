#ifndef TALEA_ARBITER_INDEX_COPY_H
#define TALEA_ARBITER_INDEX_COPY_H
/*
 * A compacted copy of the index as of one commit, for a snapshot. Its own
 * process calls it: it opens the index anew and starts a thread.
 */
#include <stdint.h>

#include "common/paced_file.h"

/*
 * Appends the copy to `out` at the pace of common/paced_file, syncing nothing,
 * with its CRC-32C. What the index frees meanwhile is not used again before
 * the copy ends. 0 or errno; what was written is good for nothing then.
 */
int index_copy(const char *index_path, struct paced_file *out, uint32_t *crc) __attribute__((warn_unused_result));

#endif
