#ifndef TALEA_ARBITER_RUN_FILTER_H
#define TALEA_ARBITER_RUN_FILTER_H
/*
 * Which runs of spilled idempotency keys may hold a digest: the runs' filters
 * (key_schema.h) side by side in memory, so that a new key costs a few cache
 * lines and no disk read. 32 bits a key, 16 of them set: one new key in
 * 1,400,000 is taken for one of a given run (test_run_filter counts them); a key that was added is never missed.
 *
 * One thread may insert a run while another looks: what is inserted counts
 * once it is published.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/digest.h"

struct run_filter;

struct run_filter *run_filter_create(void);
void run_filter_destroy(struct run_filter **filter);

/* Size of the filter of a run of so many keys: 2^log2 bits. */
unsigned run_filter_log2(uint64_t key_count);
/* Sets a digest's bits in a run's filter of 2^log2 bits. */
void run_filter_set(uint8_t *bits, unsigned log2, const struct sha256 *digest);

/* Up to this many runs of one size are taken in together. */
#define RUN_GROUP_MAX 64
struct run_bits {
    uint32_t run;
    const uint8_t *bits; /* at any alignment */
};

/* Takes a new run's bits in; it does not count yet. */
void run_filter_insert(struct run_filter *filter, unsigned log2, const struct run_bits *run);
/* From now on the last inserted run counts. By the thread that looks, after it has seen the insert return. */
void run_filter_publish(struct run_filter *filter);

/* The same for runs that are on disk at the start, all at once: count <= RUN_GROUP_MAX, they count at once. */
void run_filter_load(struct run_filter *filter, unsigned log2, const struct run_bits *runs, size_t count);

/* A search for this digest comes soon: what it reads is brought into the cache. */
void run_filter_expect(const struct run_filter *filter, const struct sha256 *digest);
/* Calls `visit` for runs that may hold the digest until it returns true; then true. */
bool run_filter_search(const struct run_filter *filter, const struct sha256 *digest,
                       bool (*visit)(void *context, uint32_t run), void *context);

#endif
