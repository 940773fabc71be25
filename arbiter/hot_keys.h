#ifndef TALEA_ARBITER_HOT_KEYS_H
#define TALEA_ARBITER_HOT_KEYS_H
/*
 * The newest idempotency keys in memory: a queue in the order they came, with
 * a hash table over it. It grows as needed; the oldest are dropped by the
 * caller. Entries are numbered from 0 for the life of the process.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/digest.h"
#include "common/uuid7.h"

struct hot_key {
    struct sha256 digest;
    uint64_t seq;
    int64_t at_us;
    struct uuid tx_id;
};
_Static_assert(sizeof(struct hot_key) == 64, "one cache line a key");

struct hot_keys;

/* `room`: how many are expected; it grows beyond, at the price of a stall. */
struct hot_keys *hot_keys_create(uint64_t room);
void hot_keys_destroy(struct hot_keys **keys);

/* A find or an add of this digest comes soon: what it reads is brought into the cache. */
void hot_keys_expect(const struct hot_keys *keys, const struct sha256 *digest);
/* NULL when it is not there. Valid until the next add. */
const struct hot_key *hot_keys_find(const struct hot_keys *keys, const struct sha256 *digest);
void hot_keys_add(struct hot_keys *keys, const struct hot_key *key);

/* Entries first..end-1 are there. */
uint64_t hot_keys_first(const struct hot_keys *keys);
uint64_t hot_keys_end(const struct hot_keys *keys);
const struct hot_key *hot_keys_at(const struct hot_keys *keys, uint64_t number);
void hot_keys_drop_oldest(struct hot_keys *keys);

#endif
