#ifndef TALEA_COMMON_INDEX_STATE_H
#define TALEA_COMMON_INDEX_STATE_H
/*
 * May the index be opened? It is written without syncs, so it survives the
 * death of talead but not that of the operating system, and opening a broken
 * one can kill the process. <dir>/index/STATE says under which boot of the
 * machine it is written and whether it was synced and closed.
 *
 * Text, six lines: `boot <boot id>`, `ledger <uuid>`, `clean yes|no`, and of a
 * clean stop, else 0: `position <n>`, the log position that it held, `bytes <n>`
 * and `crc <hex>`, CRC-32C of so many first bytes of data.mdb.
 *
 * The boot id is the kernel's (random(4), /proc/sys/kernel/random/boot_id);
 * TALEA_TEST_BOOT_ID in the environment takes its place, for tests that crash
 * a file system and not the machine.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/uuid7.h"

/*
 * True when the index in folder `path` belongs to `ledger` and was either
 * closed clean, and has its bytes still, or was written under this boot. After
 * a clean stop, usable or not, *position is what it held, a witness of the log's
 * length; else 0. False with *why set (one phrase for the log) when it must
 * not be opened; *why is NULL when there is none.
 */
bool index_state_usable(const char *path, struct uuid ledger, uint64_t *position, const char **why);

/* Arbiter alone: while the index is written, and (clean, of so many bytes) after its last sync. 0 or errno. */
int index_state_write_open(const char *path, struct uuid ledger) __attribute__((warn_unused_result));
int index_state_write_clean(const char *path, struct uuid ledger, uint64_t position, uint64_t bytes)
    __attribute__((warn_unused_result));

#endif
