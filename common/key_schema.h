#ifndef TALEA_COMMON_KEY_SCHEMA_H
#define TALEA_COMMON_KEY_SCHEMA_H
/*
 * The spilled idempotency keys: one LMDB environment in <dir>/idempotency,
 * synced at every commit. Its tables, keys and values; talea-log(5) describes
 * them. Numbers in keys are big-endian, values are little-endian structs.
 *
 *   keys    run BE4, digest 32   -> struct key_value
 *   runs    run BE4              -> struct key_run_row, then its filter: 2^filter_log2 bits
 *   state   "state"              -> struct key_state
 *
 * A run is what one spill wrote, sorted by digest. A digest sets KEY_FILTER_BITS
 * bits of its run's filter: with its first 8 octets as u64 a and the next 8 as
 * u64 b, the highest filter_log2 bits of a + k * b (modulo 2^64) are the number
 * of the k-th. (Two hashes do for any number of bits: Kirsch, Mitzenmacher,
 * "Less hashing, same performance", 2008.)
 */
#include <stdint.h>

#include "common/bytes.h"
#include "common/digest.h"
#include "common/little_endian.h"
#include "common/uuid7.h"

#define KEY_SCHEMA_VERSION 3
#define KEY_TABLE_KEYS "keys"
#define KEY_TABLE_RUNS "runs"
#define KEY_TABLE_STATE "state"
#define KEY_STATE_KEY "state"
#define RUN_KEY_BYTES (4 + SHA256_SIZE)
#define KEY_FILTER_BITS 16
#define KEY_FILTER_LOG2_MAX 31

/* What the first commit of a key answered. */
struct key_value {
    uint64_t seq;
    int64_t at_us;
    struct uuid tx_id;
};
_Static_assert(sizeof(struct key_value) == 32, "file format");

struct key_run_row {
    uint32_t key_count;
    uint32_t keys_crc;    /* CRC-32C of every digest and value, in order */
    uint32_t filter_log2;
    uint32_t filter_crc;  /* CRC-32C of the filter */
};
_Static_assert(sizeof(struct key_run_row) == 16, "file format");

struct key_state {
    uint32_t version; /* KEY_SCHEMA_VERSION */
    uint32_t run_count;
    uint64_t key_count;
    uint64_t position; /* in the log: every key before it is here */
    uint64_t next_batch;
    struct sha256 chain;
    struct uuid ledger;
    uint32_t reserved;
    uint32_t crc; /* CRC-32C of what is before it */
};
_Static_assert(sizeof(struct key_state) == 88, "file format");

/* A key's identity: SHA-256 of its book's length (LE4), its book and itself. */
struct sha256 idempotency_digest(struct bytes book, struct bytes key);

/* Key of table keys; that of runs is number_key of index_schema.h. */
void run_key(uint32_t run, const struct sha256 *digest, uint8_t out[static RUN_KEY_BYTES]);

uint32_t key_state_crc(const struct key_state *state);
/* Continues a run's keys_crc, 0 to begin. */
uint32_t key_run_crc(uint32_t crc, const struct sha256 *digest, const struct key_value *value);

/* Number of the digest's k-th bit, k < KEY_FILTER_BITS, in a filter of 2^log2 bits. */
static inline uint32_t key_filter_bit(const struct sha256 *digest, unsigned k, unsigned log2)
{
    return (uint32_t)((get_u64(digest->octets) + k * get_u64(digest->octets + 8)) >> (64 - log2));
}

#endif
