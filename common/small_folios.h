#ifndef TALEA_COMMON_SMALL_FOLIOS_H
#define TALEA_COMMON_SMALL_FOLIOS_H
/*
 * For files whose pages are changed one by one through a mapping, as those of
 * the index are. Since Linux 6.16 ext4 (xfs for longer) keeps what is read with
 * readahead, or written by one large call, in large folios of the page cache,
 * up to 2 MB each; and a page that is changed there makes all of its folio go
 * to the disk. Seen with an index of 7 GB that was read as a whole at a start:
 * 326 posts a second and 500 MB/s of writes, instead of 14,431 and 11 MB/s.
 *
 * Any process. Folios stay as they are once pages are in the cache, so whoever
 * reads or writes such a file comes here.
 */
#include <stddef.h>
#include <sys/types.h>

/* What is read through this descriptor from now on comes into the cache page by page, and without readahead. */
void small_folios_for_reads(int fd);

/* pwrite of all of it, a page a call. 0 or errno. */
int small_folios_write(int fd, const void *p, size_t n, off_t offset) __attribute__((warn_unused_result));

#endif
