#ifndef TALEA_COMMON_ARENA_H
#define TALEA_COMMON_ARENA_H
/*
 * Memory that is given back all at once: one arena for each request, or for
 * each group commit. Running out of memory ends the process with one line.
 */
#include <stddef.h>

struct arena;

struct arena *arena_create(void);
void arena_destroy(struct arena **a);
void arena_reset(struct arena *a); /* everything allocated so far is gone; the memory is kept for reuse */
void *arena_alloc(struct arena *a, size_t n) __attribute__((malloc, alloc_size(2)));        /* 16-byte aligned, not zeroed */
void *arena_copy(struct arena *a, const void *p, size_t n) __attribute__((alloc_size(3)));

#endif
