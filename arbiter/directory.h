#ifndef TALEA_ARBITER_DIRECTORY_H
#define TALEA_ARBITER_DIRECTORY_H
/*
 * The ledger's directory: its lock and its folders. (Files in them are made in the
 * order of durable_file.h.)
 */

/*
 * Takes <dir>/LOCK for this process until it ends (the descriptor is O_CLOEXEC
 * and never closed; flock(2) is shared with children forked later, so take it
 * after the fork). 0; EWOULDBLOCK when another process holds it; or errno.
 */
int directory_lock(const char *data_dir) __attribute__((warn_unused_result));

/* Makes <dir> and its folders where they are missing, and syncs what was made. 0 or errno. */
int directory_prepare(const char *data_dir) __attribute__((warn_unused_result));

/*
 * Makes <folder>/lock.mdb, LMDB's table of readers, with every block of it
 * allocated: LMDB leaves it sparse and maps it, and a hole that is written to
 * on a full disk is a SIGBUS. Before the environment is opened. 0 or errno.
 */
int directory_allocate_lock(const char *folder) __attribute__((warn_unused_result));

/* Removes <dir>/<name>, a folder of plain files. 0 also when it was not there, or errno. */
int directory_remove(const char *data_dir, const char *name) __attribute__((warn_unused_result));

#endif
