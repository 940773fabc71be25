#ifndef TALEA_COMMON_BUFFER_H
#define TALEA_COMMON_BUFFER_H
/*
 * A growing byte buffer. Running out of memory ends the process with one line
 * (there is no useful way on), so no call here returns an error.
 *
 * Owner: whoever declared it; release with buffer_free. Zero-initialised is
 * a valid empty buffer.
 */
#include <stddef.h>
#include <stdint.h>

#include "common/bytes.h"

struct buffer {
    uint8_t *base;
    size_t len;
    size_t capacity;
};

void buffer_free(struct buffer *b);                 /* empties and releases */
void buffer_clear(struct buffer *b);                /* empties, keeps the memory */
uint8_t *buffer_reserve(struct buffer *b, size_t n); /* room for n bytes at the end; not yet counted in len */
void buffer_append(struct buffer *b, const void *p, size_t n);
void buffer_append_string(struct buffer *b, const char *s);
void buffer_printf(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline struct bytes buffer_bytes(const struct buffer *b)
{
    return (struct bytes){b->base, b->len};
}

/*
 * A msgpack_packer write callback: msgpack_packer_init(&pk, &buffer, buffer_msgpack_write). It is called for
 * pieces of a byte or two, so it lies here, where the packer's own code can take it in.
 */
static inline int buffer_msgpack_write(void *buffer, const char *p, size_t n)
{
    struct buffer *b = buffer;
    if (n > b->capacity - b->len)
        buffer_reserve(b, n);
    if (n)
        memcpy(b->base + b->len, p, n);
    b->len += n;
    return 0;
}

#endif
