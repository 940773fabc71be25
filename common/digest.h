#ifndef TALEA_COMMON_DIGEST_H
#define TALEA_COMMON_DIGEST_H
/*
 * The two digests of the file formats: CRC-32C (Castagnoli; RFC 3720 appendix
 * B.4; ISA-L's crc32_iscsi) against accidents, SHA-256 (libcrypto) against
 * tampering and as the identity of an idempotency key.
 */
#include <stddef.h>
#include <stdint.h>

#include "common/bytes.h"

#define SHA256_SIZE 32

struct sha256 {
    uint8_t octets[SHA256_SIZE];
};

/* 64 lower-case hex digits and a NUL. */
void sha256_format(const struct sha256 *value, char out[static 2 * SHA256_SIZE + 1]);

/* Continues from `crc`, 0 to begin: crc32c(crc32c(0, a), b) is that of a followed by b. crc32c(0, "123456789") is 0xe3069283. */
uint32_t crc32c(uint32_t crc, const void *p, size_t n);

/* Of the file's first `bytes` bytes, from its front. 0; EBADMSG: the file is shorter; or errno of read(2). */
int crc32c_of_file(int fd, uint64_t bytes, uint32_t *out) __attribute__((warn_unused_result));

/* SHA-256 over the parts one after another. One context for each thread is kept for reuse. */
struct sha256 sha256_of(const struct bytes *parts, size_t count);

#endif
