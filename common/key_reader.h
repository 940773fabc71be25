#ifndef TALEA_COMMON_KEY_READER_H
#define TALEA_COMMON_KEY_READER_H
/*
 * Reading all spilled idempotency keys, for talead verify: offline, or beside
 * the arbiter that adds runs to them.
 */
#include "common/key_schema.h"

struct key_reader;

struct key_reader_state {
    struct uuid ledger;
    uint64_t position; /* in the log: every key before it is spilled */
    uint64_t key_count;
    uint32_t run_count;
};

struct spilled_key {
    struct sha256 digest;
    uint64_t seq;
    int64_t at_us;
    struct uuid tx_id;
};

/* 0; ENOENT: nothing was spilled yet; EBADMSG: what is there is none of ours or damaged; or errno. */
int key_reader_open(const char *data_dir, struct key_reader **out) __attribute__((warn_unused_result));
void key_reader_close(struct key_reader **reader);

/* Begins anew, with what is committed now. 0, ENOENT, EBADMSG (as above) or errno. */
int key_reader_begin(struct key_reader *reader, struct key_reader_state *out) __attribute__((warn_unused_result));

/*
 * The next key, in the order of runs, then digests. 0; ENOENT: that was all;
 * EBADMSG: a run is damaged (its CRC, known at its end) or one is missing; or errno.
 */
int key_reader_next(struct key_reader *reader, struct spilled_key *out) __attribute__((warn_unused_result));

#endif
