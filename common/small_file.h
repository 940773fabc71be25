#ifndef TALEA_COMMON_SMALL_FILE_H
#define TALEA_COMMON_SMALL_FILE_H
/*
 * A file read whole, up to a bound: settings, tokens, seeds. It may hold
 * secrets, so no copy stays behind in memory that was given back.
 */
#include "common/buffer.h"

/*
 * Appends nothing but the file's bytes to the empty buffer `out`. 0, EFBIG when
 * there are more than `max_bytes` of them, or the errno of what failed (`out`
 * is empty then). Release with small_file_wipe.
 */
int small_file_read(const char *path, size_t max_bytes, struct buffer *out)
    __attribute__((warn_unused_result));

/* Overwrites and releases. */
void small_file_wipe(struct buffer *b);

#endif
