#ifndef TALEA_COMMON_KEY_MARK_H
#define TALEA_COMMON_KEY_MARK_H
/*
 * May LMDB be let at the spilled keys? Their runs are proved one by one
 * (key_schema.h), but what LMDB itself goes by is proved by nothing of LMDB's.
 * <dir>/idempotency/STATE says what that was after the last commit.
 *
 * Text, four lines: `transaction <n>` (LMDB's number of the commit), `bytes <n>`
 * (the size of data.mdb, which never shrinks: who reads beyond its end dies of
 * SIGBUS), `pages <hex>` (lmdb_pages.h), and `crc <hex>`, CRC-32C of the three
 * lines before it.
 *
 * A process may die between its commit and the mark: one of the commit just
 * before says nothing about it, and is no fault.
 */

/*
 * Before the environment in folder `path` is opened, or beside its arbiter. 0;
 * ESTALE: the mark is of the commit before, or a commit was made meanwhile;
 * ENOENT: there is none; EBADMSG: it, or what it is of, is damaged; or errno.
 */
int key_mark_check(const char *path) __attribute__((warn_unused_result));

/* Arbiter alone, after a commit, in whatever thread committed: replaces the mark, durably. 0, EBADMSG or errno. */
int key_mark_write(const char *path) __attribute__((warn_unused_result));

#endif
