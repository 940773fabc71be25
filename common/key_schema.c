#include "common/key_schema.h"

/* Keys and checksums of the spilled idempotency keys; no file is touched here. */
#include <stddef.h>
#include <string.h>

#include "common/index_schema.h"

struct sha256 idempotency_digest(struct bytes book, struct bytes key)
{
    uint8_t length[4];
    put_u32(length, (uint32_t)book.len);
    struct bytes parts[] = {bytes_of(length, sizeof length), book, key};
    return sha256_of(parts, 3);
}

void run_key(uint32_t run, const struct sha256 *digest, uint8_t out[static RUN_KEY_BYTES])
{
    number_key(run, out);
    memcpy(out + 4, digest->octets, SHA256_SIZE);
}

uint32_t key_state_crc(const struct key_state *state)
{
    return crc32c(0, state, offsetof(struct key_state, crc));
}

uint32_t key_run_crc(uint32_t crc, const struct sha256 *digest, const struct key_value *value)
{
    return crc32c(crc32c(crc, digest, sizeof *digest), value, sizeof *value);
}
