#ifndef TALEA_SERVER_WRITE_FENCE_H
#define TALEA_SERVER_WRITE_FENCE_H
/*
 * Landlock for a worker: it may read as before, but open nothing for writing,
 * make, remove or rename nothing, and execute nothing, wherever it is.
 *
 * Two folders stay open for writing. That of the index, since LMDB's readers
 * enter themselves in its lock file; the index is made from the log and can be
 * made again, and it is the log that nobody may touch. And that of the log
 * file, which is opened anew when it was moved away.
 */
#include <stdbool.h>

/*
 * For good. `log_file` may be NULL. False: there is no fence, because the
 * kernel knows no Landlock, or because the ledger lies in the folder of the log
 * file; *why says so.
 */
bool write_fence_raise(const char *data_dir, const char *log_file, const char **why);

#endif
