#ifndef TALEA_COMMON_BYTES_H
#define TALEA_COMMON_BYTES_H
/*
 * A run of bytes that somebody else owns. Names in a ledger may hold any
 * character, NUL too, so they travel as base and length, never as C strings.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const uint8_t *base; /* may be NULL when len is 0 */
    size_t len;
};

#define BYTES_LITERAL(s) ((struct bytes){(const uint8_t *)(s), sizeof(s) - 1})

static inline struct bytes bytes_of(const void *base, size_t len)
{
    return (struct bytes){base, len};
}

static inline struct bytes bytes_of_string(const char *s)
{
    return (struct bytes){(const uint8_t *)s, strlen(s)};
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.base, b.base, a.len) == 0);
}

#endif
