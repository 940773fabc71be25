#ifndef TALEA_ARBITER_LARGE_MEMORY_H
#define TALEA_ARBITER_LARGE_MEMORY_H
/*
 * Memory for tables of many MiB that are read at random: in the kernel's large
 * pages, where it has them, so that a look does not cost a walk of the page
 * table beside its cache miss.
 */
#include <stddef.h>

/* Zeroed, aligned to a page at least; NULL: there is none. Takes memory as it is touched. */
void *large_alloc(size_t bytes) __attribute__((warn_unused_result));
void large_free(void *memory, size_t bytes); /* with the bytes that were asked for; NULL is fine */

#endif
