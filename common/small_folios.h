#ifndef TALEA_COMMON_SMALL_FOLIOS_H
#define TALEA_COMMON_SMALL_FOLIOS_H
/*
 * For files whose pages are changed one by one through a mapping, as those of
 * the index are. Since Linux 6.16 ext4 (xfs for longer) keeps what is read with
 * readahead, or written by one large call, in large folios of the page cache,
 * up to 2 MB each; and a page that is changed there makes all of its folio go
 * to the disk. Seen with an index of 7 GB that was read as a whole at a start:
 * 326 posts a second and 500 MB/s of writes, instead of 14,431 and 11 MB/s. A
 * mapping that is touched page behind page reads ahead as well, also where the
 * file was only allocated: an index that grew so to 4 GB and was written back
 * once took 3,100 transactions a second, writing 460 MB in each.
 *
 * Any process. Folios stay as they are once pages are in the cache, so whoever
 * reads or writes such a file comes here.
 */
#include <stddef.h>
#include <sys/types.h>

/* Among the flags of mdb_env_open (lmdb.h): pages come into the cache one by one. It stays when the map grows. */
#define SMALL_FOLIOS_MDB MDB_NORDAHEAD

/* What is read through this descriptor from now on comes into the cache page by page, and without readahead. */
void small_folios_for_reads(int fd);

/* pwrite of all of it, a page a call. 0 or errno. */
int small_folios_write(int fd, const void *p, size_t n, off_t offset) __attribute__((warn_unused_result));

#endif
