#include "arbiter/hot_keys.h"

/*
 * Linear probing over a table of entry numbers, at most half full. Deleting
 * shifts the followers of a hole back, so no tombstones pile up. SHA-256
 * digests are random, their last octets are the hash.
 *
 * What a key costs is cache lines, not instructions: the table is some MiB,
 * read at random. Bits of a place that the entry number does not need hold a
 * part of the digest, so that the entries of other keys are not looked at, and
 * table and entries lie in large pages.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "arbiter/large_memory.h"
#include "common/exit_status.h"
#include "common/little_endian.h"
#include "common/report.h"

#define EMPTY 0u
#define DROPS_AHEAD 8 /* keys whose places are on their way into the cache when their turn comes */
#define CAPACITY_LEAST 1024u
#define CAPACITY_AT_ONCE (4u << 20) /* address space of 256 MiB: memory is taken as it is touched */

struct hot_keys {
    struct hot_key *entries; /* entry n lies at n & (capacity - 1) */
    uint64_t capacity;       /* power of two, at most 2^31 */
    uint64_t first, end;
    uint32_t *table;         /* of 2 * capacity places: see place_of, or EMPTY */
};

static void *must(void *p)
{
    if (!p)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory for idempotency keys; lower TALEA_LOG_IDEM_HOT_CAP");
    return p;
}

static uint64_t home(const struct hot_keys *k, const struct sha256 *digest)
{
    return get_u64(digest->octets + 24) & (2 * k->capacity - 1);
}

/* Entry number & (capacity - 1); above it a 1, so that no place looks EMPTY, and bits of the digest above that. */
static uint32_t tag_of(const struct hot_keys *k, const struct sha256 *digest)
{
    uint32_t lowest = (uint32_t)k->capacity;
    return (get_u32(digest->octets + 20) & -lowest) | lowest;
}

static uint32_t slot_at(const struct hot_keys *k, uint64_t place)
{
    return k->table[place] & ((uint32_t)k->capacity - 1);
}

static uint64_t next_place(const struct hot_keys *k, uint64_t place)
{
    return (place + 1) & (2 * k->capacity - 1);
}

static void insert(struct hot_keys *k, uint64_t number)
{
    uint64_t slot = number & (k->capacity - 1);
    const struct sha256 *digest = &k->entries[slot].digest;
    uint64_t place = home(k, digest);
    while (k->table[place] != EMPTY)
        place = next_place(k, place);
    k->table[place] = (uint32_t)slot | tag_of(k, digest);
}

static void release(struct hot_keys *k)
{
    large_free(k->entries, k->capacity * sizeof *k->entries);
    large_free(k->table, 2 * k->capacity * sizeof *k->table);
}

static void resize(struct hot_keys *k, uint64_t capacity)
{
    assert(capacity <= UINT64_C(1) << 31);
    struct hot_key *entries = must(large_alloc(capacity * sizeof *entries));
    uint32_t *table = must(large_alloc(2 * capacity * sizeof *table));
    for (uint64_t n = k->first; n < k->end; n++)
        entries[n & (capacity - 1)] = k->entries[n & (k->capacity - 1)];
    release(k);
    k->entries = entries;
    k->table = table;
    k->capacity = capacity;
    for (uint64_t n = k->first; n < k->end; n++)
        insert(k, n);
}

struct hot_keys *hot_keys_create(uint64_t room)
{
    struct hot_keys *k = must(calloc(1, sizeof *k));
    uint64_t capacity = CAPACITY_LEAST;
    while (capacity < room && capacity < CAPACITY_AT_ONCE)
        capacity *= 2;
    resize(k, capacity);
    return k;
}

void hot_keys_destroy(struct hot_keys **keys)
{
    if (!*keys)
        return;
    release(*keys);
    free(*keys);
    *keys = NULL;
}

static uint64_t find_place(const struct hot_keys *k, const struct sha256 *digest)
{
    uint32_t tag = tag_of(k, digest), tag_bits = -(uint32_t)k->capacity;
    for (uint64_t place = home(k, digest); k->table[place] != EMPTY; place = next_place(k, place))
        if ((k->table[place] & tag_bits) == tag &&
            memcmp(&k->entries[slot_at(k, place)].digest, digest, sizeof *digest) == 0)
            return place;
    return UINT64_MAX;
}

void hot_keys_expect(const struct hot_keys *k, const struct sha256 *digest)
{
    __builtin_prefetch(&k->table[home(k, digest)]);
}

const struct hot_key *hot_keys_find(const struct hot_keys *k, const struct sha256 *digest)
{
    uint64_t place = find_place(k, digest);
    return place == UINT64_MAX ? NULL : &k->entries[slot_at(k, place)];
}

void hot_keys_add(struct hot_keys *k, const struct hot_key *key)
{
    if (k->end - k->first == k->capacity)
        resize(k, 2 * k->capacity);
    k->entries[k->end & (k->capacity - 1)] = *key;
    insert(k, k->end++);
}

uint64_t hot_keys_first(const struct hot_keys *k)
{
    return k->first;
}

uint64_t hot_keys_end(const struct hot_keys *k)
{
    return k->end;
}

const struct hot_key *hot_keys_at(const struct hot_keys *k, uint64_t number)
{
    assert(number >= k->first && number < k->end);
    return &k->entries[number & (k->capacity - 1)];
}

/* Is `home_place` outside the cyclic range (hole, place]? Then its entry may move into the hole. */
static bool may_move(uint64_t hole, uint64_t place, uint64_t home_place)
{
    return hole <= place ? home_place <= hole || home_place > place : home_place <= hole && home_place > place;
}

void hot_keys_drop_oldest(struct hot_keys *k)
{
    assert(k->first < k->end);
    uint64_t hole = find_place(k, &hot_keys_at(k, k->first)->digest);
    assert(hole != UINT64_MAX);
    if (k->end - k->first > DROPS_AHEAD)
        hot_keys_expect(k, &hot_keys_at(k, k->first + DROPS_AHEAD)->digest);
    for (uint64_t place = next_place(k, hole); k->table[place] != EMPTY; place = next_place(k, place)) {
        if (may_move(hole, place, home(k, &k->entries[slot_at(k, place)].digest))) {
            k->table[hole] = k->table[place];
            hole = place;
        }
    }
    k->table[hole] = EMPTY;
    k->first++;
}
