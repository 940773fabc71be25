#ifndef TALEA_COMMON_LOG_FORMAT_H
#define TALEA_COMMON_LOG_FORMAT_H
/*
 * The log's bytes (talea-log(5) describes them for strangers). Integers are
 * little-endian. A position counts bytes since genesis, segment headers
 * included; a segment's file is named by the position of its first byte, so
 * offset in file = position - segment position.
 *
 * Segment header, 128 bytes:
 *     0  8  magic "TALEALOG"
 *     8  4  format version (1)
 *    12  4  header length (128)
 *    16 16  ledger uuid
 *    32  8  position of this header
 *    40  8  number of the next batch
 *    48 32  chain value before the next batch
 *    80  8  created at, microseconds since the epoch
 *    88 36  zero
 *   124  4  CRC-32C of bytes 0..123
 *
 * Batch: header of 48 bytes, payload, chain value of 32 bytes, zeros up to a multiple of 8.
 *     0  4  magic "TLBT"
 *     4  4  payload length
 *     8  4  number of events in the payload
 *    12  4  flags: 0 events, 1 seal of a clean stop, 2 seal that ends the segment
 *    16  8  position of this header
 *    24  8  batch number, from 1
 *    32  8  commit time, microseconds since the epoch
 *    40  4  zero
 *    44  4  CRC-32C of bytes 0..43 and the payload
 * Chain value: SHA-256 of the previous chain value, the header and the payload.
 * The genesis chain value, before batch 1, is SHA-256 of the ledger uuid's 16 octets.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/bytes.h"
#include "common/digest.h"
#include "common/uuid7.h"

#define LOG_FORMAT_VERSION 1
#define SEGMENT_HEADER_BYTES 128
#define BATCH_HEADER_BYTES 48
#define BATCH_ALIGNMENT 8
#define BATCH_PAYLOAD_MAX (64u << 20)

enum batch_flags { BATCH_EVENTS = 0, BATCH_SEAL_STOP = 1, BATCH_SEAL_SEGMENT = 2 };

struct segment_header {
    uint32_t version;
    struct uuid ledger;
    uint64_t position;
    uint64_t next_batch;
    struct sha256 chain;
    int64_t created_at_us;
};

struct batch_header {
    uint32_t payload_length;
    uint32_t event_count;
    uint32_t flags;
    uint64_t position;
    uint64_t number;
    int64_t at_us;
    uint32_t crc; /* as found, or as made by batch_header_encode */
};

struct sha256 chain_genesis(struct uuid ledger);

void segment_header_encode(const struct segment_header *header, uint8_t out[static SEGMENT_HEADER_BYTES]);
/* 0; EBADMSG: no header of ours, or damaged; ENOTSUP: a newer format version (out->version is set). */
int segment_header_decode(const uint8_t in[static SEGMENT_HEADER_BYTES], struct segment_header *out)
    __attribute__((warn_unused_result));

/* Whole length on disk of a batch with this payload length. */
static inline uint64_t batch_disk_length(uint32_t payload_length)
{
    uint64_t raw = (uint64_t)BATCH_HEADER_BYTES + payload_length + SHA256_SIZE;
    return (raw + BATCH_ALIGNMENT - 1) & ~(uint64_t)(BATCH_ALIGNMENT - 1);
}

/* Computes the CRC too. */
void batch_header_encode(struct batch_header *header, const void *payload, uint8_t out[static BATCH_HEADER_BYTES]);
/* Magic, bounds and zero bytes alone; the CRC is batch_verify's. 0 or EBADMSG. */
int batch_header_decode(const uint8_t in[static BATCH_HEADER_BYTES], struct batch_header *out)
    __attribute__((warn_unused_result));

/*
 * Is the batch at `at` (with `available` bytes behind it) whole: header, CRC,
 * own position? Checks no chain. 0 with *out filled, or EBADMSG.
 */
int batch_verify(const uint8_t *at, size_t available, uint64_t position, struct batch_header *out)
    __attribute__((warn_unused_result));

struct sha256 batch_chain(const struct sha256 *before, const uint8_t header[static BATCH_HEADER_BYTES],
                          struct bytes payload);

#define SEGMENT_NAME_MAX 40
void segment_name(uint64_t position, char out[static SEGMENT_NAME_MAX]); /* "segment-00000000000000000000.log" */
/* 0, or EINVAL for a name that is none. */
int segment_name_parse(const char *name, uint64_t *position) __attribute__((warn_unused_result));

#endif
