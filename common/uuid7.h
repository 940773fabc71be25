#ifndef TALEA_COMMON_UUID7_H
#define TALEA_COMMON_UUID7_H
/*
 * Transaction ids: UUID version 7 (RFC 9562 section 5.7), 48 bits of
 * milliseconds and then random bits of the kernel's source. Debian 12's
 * libuuid (2.38) cannot make version 7 yet.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/bytes.h"

#define UUID_TEXT_LEN 36

struct uuid {
    uint8_t octets[16];
};

/* A new id for the time `at_us` (microseconds since the epoch). Random bytes come from getrandom(2), drawn in blocks. */
struct uuid uuid7_make(int64_t at_us);

/* 36 lower-case characters; no NUL is written. */
void uuid_format(struct uuid id, char out[static UUID_TEXT_LEN]);

/* Any version, either case, the hyphenated form alone. 0 or EINVAL. */
int uuid_parse_text(struct bytes text, struct uuid *out) __attribute__((warn_unused_result));

/* Fills from the kernel's random source; cannot fail (waits for the source at boot). */
void random_fill(void *p, size_t n);

#endif
