/*
 * A growing byte buffer: doubles its memory when it is full, so that appending
 * stays linear. It never shrinks; buffer_free gives the memory back.
 */
#include "common/buffer.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/exit_status.h"
#include "common/report.h"

#define SMALLEST_CAPACITY 256

void buffer_free(struct buffer *b)
{
    free(b->base);
    *b = (struct buffer){0};
}

void buffer_clear(struct buffer *b)
{
    b->len = 0;
}

static void buffer_grow(struct buffer *b, size_t needed)
{
    size_t capacity = b->capacity > SIZE_MAX / 2 ? needed : b->capacity * 2;
    if (capacity < needed)
        capacity = needed;
    if (capacity < SMALLEST_CAPACITY)
        capacity = SMALLEST_CAPACITY;
    uint8_t *base = realloc(b->base, capacity);
    if (!base)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory: cannot make a buffer of %zu bytes", capacity);
    b->base = base;
    b->capacity = capacity;
}

uint8_t *buffer_reserve(struct buffer *b, size_t n)
{
    size_t needed;
    if (__builtin_add_overflow(b->len, n, &needed))
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory: a buffer of %zu bytes cannot grow by %zu", b->len,
                     n);
    if (!b->base || needed > b->capacity)
        buffer_grow(b, needed);
    return b->base + b->len;
}

void buffer_append(struct buffer *b, const void *p, size_t n)
{
    uint8_t *end = buffer_reserve(b, n);
    if (n)
        memcpy(end, p, n);
    b->len += n;
}

void buffer_append_string(struct buffer *b, const char *s)
{
    buffer_append(b, s, strlen(s));
}

void buffer_printf(struct buffer *b, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    size_t room = b->capacity - b->len;
    int length = vsnprintf(room ? (char *)b->base + b->len : NULL, room, format, args);
    assert(length >= 0); /* the formats are ours: no encoding of wide characters, nothing near INT_MAX */
    if ((size_t)length >= room) {
        uint8_t *end = buffer_reserve(b, (size_t)length + 1); /* vsnprintf insists on its NUL */
        vsnprintf((char *)end, (size_t)length + 1, format, again);
    }
    b->len += (size_t)length;
    va_end(again);
    va_end(args);
}
