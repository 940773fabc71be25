/*
 * An arena: a chain of chunks, filled one after another. A request that does
 * not fit into the chunk at hand goes on to the next one, or to a new one that
 * is put behind it. A reset only goes back to the first chunk.
 *
 * No thread safety: an arena belongs to one request or one group commit.
 */
#include "common/arena.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/exit_status.h"
#include "common/report.h"

#define ALIGNMENT 16
#define CHUNK_BYTES_FIRST 4096
#define CHUNK_BYTES_USUAL_MAX                                                                                \
    (1u << 20) /* chunks double up to this; a greater piece gets one of its own size */

struct chunk {
    struct chunk *next;
    size_t capacity;
    size_t used;
    _Alignas(ALIGNMENT) uint8_t bytes[];
};

struct arena {
    struct chunk *first;
    struct chunk *current; /* every chunk behind it is empty */
};

static void *out_of_memory(size_t n)
{
    report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory: cannot allocate %zu bytes in an arena", n);
}

struct arena *arena_create(void)
{
    struct arena *a = calloc(1, sizeof *a);
    return a ? a : out_of_memory(sizeof *a);
}

void arena_destroy(struct arena **a)
{
    if (!*a)
        return;
    for (struct chunk *chunk = (*a)->first; chunk;) {
        struct chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
    free(*a);
    *a = NULL;
}

void arena_reset(struct arena *a)
{
    for (struct chunk *chunk = a->first; chunk; chunk = chunk->next)
        chunk->used = 0;
    a->current = a->first;
}

/* Puts a new chunk with room for n bytes behind the current one. */
static void add_chunk(struct arena *a, size_t n)
{
    size_t capacity = a->current ? a->current->capacity * 2 : CHUNK_BYTES_FIRST;
    if (capacity > CHUNK_BYTES_USUAL_MAX)
        capacity = CHUNK_BYTES_USUAL_MAX;
    if (capacity < n)
        capacity = n;
    struct chunk *chunk = malloc(sizeof *chunk + capacity);
    if (!chunk)
        out_of_memory(n);
    chunk->capacity = capacity;
    chunk->used = 0;
    chunk->next = a->current ? a->current->next : NULL;
    if (a->current)
        a->current->next = chunk;
    else
        a->first = chunk;
    a->current = chunk;
}

void *arena_alloc(struct arena *a, size_t n)
{
    if (n > PTRDIFF_MAX - sizeof(struct chunk) - ALIGNMENT)
        out_of_memory(n);
    size_t rounded = (n + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (!a->current || rounded > a->current->capacity - a->current->used) {
        if (a->current && a->current->next && rounded <= a->current->next->capacity)
            a->current = a->current->next;
        else
            add_chunk(a, rounded);
    }
    struct chunk *chunk = a->current;
    assert(rounded <= chunk->capacity - chunk->used);
    void *piece = chunk->bytes + chunk->used;
    chunk->used += rounded;
    return piece;
}

void *arena_copy(struct arena *a, const void *p, size_t n)
{
    void *copy = arena_alloc(a, n);
    if (n)
        memcpy(copy, p, n);
    return copy;
}
