#ifndef TALEA_ARBITER_KEY_RUNS_H
#define TALEA_ARBITER_KEY_RUNS_H
/*
 * <dir>/idempotency as the arbiter keeps it (key_schema.h): sorted runs of
 * spilled keys. One spill is one LMDB transaction that is synced when it
 * commits, so the state never runs ahead of the keys.
 *
 * A run that was there at the start is proved by its CRC before anything that
 * it says, or does not say, is believed. One thread may write a run while
 * another looks.
 */
#include <stddef.h>
#include <stdint.h>

#include "arbiter/hot_keys.h"
#include "arbiter/run_filter.h"
#include "common/key_schema.h"

struct key_runs;

/* Opens what is there or makes it. 0; EBADMSG: it is damaged or another ledger's; or errno. */
int key_runs_open(const char *data_dir, struct uuid ledger, struct key_runs **out) __attribute__((warn_unused_result));
void key_runs_close(struct key_runs **runs);

/* As of the last published run; position 0: nothing was spilled yet. */
const struct key_state *key_runs_state(const struct key_runs *runs);

/* Puts the filters of all runs in. 0, EBADMSG or errno. */
int key_runs_load_filter(struct key_runs *runs, struct run_filter *filter) __attribute__((warn_unused_result));

/* 0; ENOENT: the run has no such key; EBADMSG: the run is damaged; or errno. */
int key_runs_find(struct key_runs *runs, uint32_t run, const struct sha256 *digest, struct key_value *out)
    __attribute__((warn_unused_result));

/*
 * Writes the run number key_runs_state()->run_count: keys in the order of
 * their digests, the filter made of them, and the state that holds once it is
 * there (its counts and CRC are seen to). On stable storage after 0. Any thread, one at a time.
 */
struct new_run {
    const struct hot_key *keys;
    size_t count;
    unsigned filter_log2;
    const uint8_t *filter;
    struct key_state state;
};
int key_runs_write(struct key_runs *runs, struct new_run *run) __attribute__((warn_unused_result));
/* From now on the run counts. By the thread that looks, after it has seen the write return. */
void key_runs_publish(struct key_runs *runs, const struct new_run *run);

#endif
