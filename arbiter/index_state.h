#ifndef TALEA_ARBITER_INDEX_STATE_H
#define TALEA_ARBITER_INDEX_STATE_H
/*
 * May the index be opened? It is written without syncs, so it survives the
 * death of talead but not that of the operating system, and opening a broken
 * one can kill the process. <dir>/index/STATE says under which boot of the
 * machine it is written and whether it was synced and closed.
 *
 * Text, three lines: `boot <boot id>`, `ledger <uuid>`, `clean yes|no`.
 */
#include <stdbool.h>

#include "common/uuid7.h"

/*
 * True when the index in `path` belongs to `ledger` and was either closed
 * clean or written under this boot. False with *why set (one phrase for the
 * log) when it must be thrown away; *why is NULL when there is none.
 */
bool index_state_usable(const char *path, struct uuid ledger, const char **why);

/* Writes STATE (temporary name, fsync, rename, fsync of the folder). 0 or errno. */
int index_state_write(const char *path, struct uuid ledger, bool clean) __attribute__((warn_unused_result));

#endif
