#include "common/log_format.h"

/* Encoding and checking of segment headers and batches; no file is touched here. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/little_endian.h"

static const char segment_magic[8] = {'T', 'A', 'L', 'E', 'A', 'L', 'O', 'G'};
static const char batch_magic[4] = {'T', 'L', 'B', 'T'};

struct sha256 chain_genesis(struct uuid ledger)
{
    struct bytes part = bytes_of(ledger.octets, sizeof ledger.octets);
    return sha256_of(&part, 1);
}

void segment_header_encode(const struct segment_header *header, uint8_t out[static SEGMENT_HEADER_BYTES])
{
    memset(out, 0, SEGMENT_HEADER_BYTES);
    memcpy(out, segment_magic, sizeof segment_magic);
    put_u32(out + 8, header->version);
    put_u32(out + 12, SEGMENT_HEADER_BYTES);
    memcpy(out + 16, header->ledger.octets, 16);
    put_u64(out + 32, header->position);
    put_u64(out + 40, header->next_batch);
    memcpy(out + 48, header->chain.octets, SHA256_SIZE);
    put_u64(out + 80, (uint64_t)header->created_at_us);
    put_u32(out + 124, crc32c(0, out, 124));
}

int segment_header_decode(const uint8_t in[static SEGMENT_HEADER_BYTES], struct segment_header *out)
{
    memset(out, 0, sizeof *out);
    if (memcmp(in, segment_magic, sizeof segment_magic) != 0)
        return EBADMSG;
    /* Magic, version and CRC stand here in every version, so damage is not taken for a later one. */
    if (get_u32(in + 124) != crc32c(0, in, 124))
        return EBADMSG;
    out->version = get_u32(in + 8);
    if (out->version > LOG_FORMAT_VERSION)
        return ENOTSUP;
    if (out->version != LOG_FORMAT_VERSION || get_u32(in + 12) != SEGMENT_HEADER_BYTES)
        return EBADMSG;
    memcpy(out->ledger.octets, in + 16, 16);
    out->position = get_u64(in + 32);
    out->next_batch = get_u64(in + 40);
    memcpy(out->chain.octets, in + 48, SHA256_SIZE);
    out->created_at_us = (int64_t)get_u64(in + 80);
    return 0;
}

static uint32_t batch_crc(const uint8_t *header, const void *payload, uint32_t payload_length)
{
    return crc32c(crc32c(0, header, 44), payload, payload_length);
}

void batch_header_encode(struct batch_header *header, const void *payload, uint8_t out[static BATCH_HEADER_BYTES])
{
    memcpy(out, batch_magic, sizeof batch_magic);
    put_u32(out + 4, header->payload_length);
    put_u32(out + 8, header->event_count);
    put_u32(out + 12, header->flags);
    put_u64(out + 16, header->position);
    put_u64(out + 24, header->number);
    put_u64(out + 32, (uint64_t)header->at_us);
    put_u32(out + 40, 0);
    header->crc = batch_crc(out, payload, header->payload_length);
    put_u32(out + 44, header->crc);
}

int batch_header_decode(const uint8_t in[static BATCH_HEADER_BYTES], struct batch_header *out)
{
    if (memcmp(in, batch_magic, sizeof batch_magic) != 0 || get_u32(in + 40) != 0)
        return EBADMSG;
    *out = (struct batch_header){
        .payload_length = get_u32(in + 4),
        .event_count = get_u32(in + 8),
        .flags = get_u32(in + 12),
        .position = get_u64(in + 16),
        .number = get_u64(in + 24),
        .at_us = (int64_t)get_u64(in + 32),
        .crc = get_u32(in + 44),
    };
    if (out->payload_length > BATCH_PAYLOAD_MAX || out->flags > BATCH_SEAL_SEGMENT || out->number == 0)
        return EBADMSG;
    /* A seal carries nothing, a batch of events carries some. */
    if ((out->flags == BATCH_EVENTS) != (out->event_count > 0) ||
        (out->event_count > 0) != (out->payload_length > 0))
        return EBADMSG;
    return 0;
}

int batch_verify(const uint8_t *at, size_t available, uint64_t position, struct batch_header *out)
{
    if (available < BATCH_HEADER_BYTES || batch_header_decode(at, out) != 0 || out->position != position)
        return EBADMSG;
    if (batch_disk_length(out->payload_length) > available)
        return EBADMSG;
    return batch_crc(at, at + BATCH_HEADER_BYTES, out->payload_length) == out->crc ? 0 : EBADMSG;
}

struct sha256 batch_chain(const struct sha256 *before, const uint8_t header[static BATCH_HEADER_BYTES],
                          struct bytes payload)
{
    struct bytes parts[] = {
        bytes_of(before->octets, SHA256_SIZE),
        bytes_of(header, BATCH_HEADER_BYTES),
        payload,
    };
    return sha256_of(parts, 3);
}

void segment_name(uint64_t position, char out[static SEGMENT_NAME_MAX])
{
    snprintf(out, SEGMENT_NAME_MAX, "segment-%020" PRIu64 ".log", position);
}

int segment_name_parse(const char *name, uint64_t *position)
{
    uint64_t value = 0;
    if (strlen(name) != 32 || strncmp(name, "segment-", 8) != 0 || strcmp(name + 28, ".log") != 0)
        return EINVAL;
    for (int i = 8; i < 28; i++) {
        if (name[i] < '0' || name[i] > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(name[i] - '0'), &value))
            return EINVAL;
    }
    *position = value;
    return 0;
}
