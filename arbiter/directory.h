#ifndef TALEA_ARBITER_DIRECTORY_H
#define TALEA_ARBITER_DIRECTORY_H
/* The folders of a ledger's directory. (Files in them are made in the order of durable_file.h.) */

/* Makes <dir> and its folders where they are missing, and syncs what was made. 0 or errno. */
int directory_prepare(const char *data_dir) __attribute__((warn_unused_result));

/* Makes the folder where it is missing, and syncs the one that it is in. 0 or errno. */
int directory_make(const char *path) __attribute__((warn_unused_result));

/*
 * Makes <folder>/lock.mdb, LMDB's table of readers, with every block of it
 * allocated: LMDB leaves it sparse and maps it, and a hole that is written to
 * on a full disk is a SIGBUS. Before the environment is opened. 0 or errno.
 */
int directory_allocate_lock(const char *folder) __attribute__((warn_unused_result));

/* Removes <dir>/<name>, a folder of plain files. 0 also when it was not there, or errno. */
int directory_remove(const char *data_dir, const char *name) __attribute__((warn_unused_result));

/*
 * Removes what is in <dir>/<name>, a folder of plain files, and leaves it there
 * itself: workers may write in that one folder alone. 0 also when it was not there, or errno.
 */
int directory_empty(const char *data_dir, const char *name) __attribute__((warn_unused_result));

#endif
