#ifndef TALEA_COMMON_DURABLE_FILE_H
#define TALEA_COMMON_DURABLE_FILE_H
/*
 * File system steps in the order that makes them last: new file under a
 * temporary name, fsync of the file, rename, fsync of its folder; only then is
 * it used. No step relies on close(2). All return 0 or errno.
 */
#include <stddef.h>
#include <sys/types.h>

#include "common/bytes.h"

/* All of it, at an offset; goes on after EINTR and short writes. Syncs nothing. */
int write_fully(int fd, const void *p, size_t n, off_t offset) __attribute__((warn_unused_result));

/* fsync of a folder: the names in it are on stable storage then. */
int directory_sync(const char *path) __attribute__((warn_unused_result));
/* The same for the folder that holds `path`. */
int directory_sync_parent(const char *path) __attribute__((warn_unused_result));

/* rename(2) within one folder, and its fsync. The file itself has been synced. */
int durable_rename(const char *from, const char *to) __attribute__((warn_unused_result));

/*
 * Puts a file of these bytes in the place of `path`, mode 0600 from the first
 * byte on; until the rename it is `path`.new. On an error `path` is what it was.
 */
int durable_replace(const char *path, struct bytes content) __attribute__((warn_unused_result));

#endif
