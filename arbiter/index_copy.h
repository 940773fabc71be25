#ifndef TALEA_ARBITER_INDEX_COPY_H
#define TALEA_ARBITER_INDEX_COPY_H
/*
 * A compact copy of the index as of one position, made beside its writer: what
 * a snapshot is. For a process of its own, and an index that is being written.
 */
#include "common/index_schema.h"

/*
 * Writes the environment in the folder `index_path` to the new file `file`, at
 * the pace of paced_file.h. *meta is the state that the copy holds. 0 or errno;
 * then the file is good for nothing. Not synced.
 */
int index_copy(const char *index_path, const char *file, struct index_meta *meta) __attribute__((warn_unused_result));

#endif
