#ifndef TALEA_COMMON_LMDB_PAGES_H
#define TALEA_COMMON_LMDB_PAGES_H
/*
 * The pages of an LMDB file that its next commit copies and changes, read as
 * they lie in the file. LMDB believes them: a flipped bit in its list of free
 * pages lets a commit write over a page in use, one in a page's header lets it
 * write beyond that page in memory. So they are proved before LMDB sees them.
 *
 * Layout: mdb.c of LMDB 0.9 (struct MDB_page, MDB_meta, MDB_db, MDB_node), on
 * 64-bit little-endian machines.
 */
#include <stdint.h>

/*
 * The newest commit's number, and CRC-32C over its meta page, every page of the
 * list of free pages and of the table of tables, and of each named table the
 * pages from its root to its last leaf: what a commit that adds at the ends of
 * its tables reads or changes. 0; EBADMSG: these are no such pages; ESTALE:
 * somebody commits meanwhile; or errno.
 */
int lmdb_pages_crc(int fd, uint64_t *transaction, uint32_t *crc) __attribute__((warn_unused_result));

#endif
