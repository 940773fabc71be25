#ifndef TALEA_COMMON_PRIVILEGES_H
#define TALEA_COMMON_PRIVILEGES_H
/*
 * What a process of talead gives up, for good, before it reads a byte that
 * others wrote. Nothing here fails: a kernel that refuses leaves the process
 * as strong as it was.
 */
#include <stdbool.h>

/* No program that it may come to execute has more rights than itself: prctl(2), PR_SET_NO_NEW_PRIVS. */
void privileges_refuse_new(void);

/*
 * No core dump, and no other process of the same user may look into it or
 * trace it (PR_SET_DUMPABLE). Its files in /proc then belong to root. With
 * `core_dumps` all is as usual.
 */
void privileges_hide_memory(bool core_dumps);

/*
 * Drops all capabilities. Only when the ledger, or the log file (NULL: none),
 * is out of reach without it, as for root with files of another user,
 * CAP_DAC_OVERRIDE stays, if it was there. True: it stays.
 */
bool privileges_drop_capabilities(const char *data_dir, const char *log_file);

#endif
