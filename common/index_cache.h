#ifndef TALEA_COMMON_INDEX_CACHE_H
#define TALEA_COMMON_INDEX_CACHE_H
/*
 * What one reader of the index has seen of it that never changes: the numbers
 * of books, the definitions of assets, the times of events. A lookup in the
 * index costs a thousand instructions and more, one here some tens.
 *
 * Everything here is of one index: clear it when another one comes in its
 * place. Bounded: 3.2 MB, and 128 definitions of 512 bytes at most.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/bytes.h"
#include "common/draft.h"
#include "common/index_schema.h"

struct index_cache;

#define INDEX_CACHE_TIMES_BITS 17
#define INDEX_CACHE_TIMES (1u << INDEX_CACHE_TIMES_BITS) /* events' times are kept */

struct index_cache *index_cache_create(void);
void index_cache_destroy(struct index_cache **cache);
void index_cache_clear(struct index_cache *cache);

/* A book's row as it stood when it was kept: its number is for ever, last_seq and last_at_us have grown since. */
bool index_cache_book(const struct index_cache *cache, struct bytes name, struct book_row *out);
void index_cache_keep_book(struct index_cache *cache, struct bytes name, const struct book_row *row);

/* When an event was committed. */
bool index_cache_time(const struct index_cache *cache, uint32_t book_no, uint64_t seq, int64_t *at_us);
void index_cache_keep_time(struct index_cache *cache, uint32_t book_no, uint64_t seq, int64_t at_us);

/* The slices of a definition are valid until the cache is cleared: none that is kept makes room for another. */
bool index_cache_asset(const struct index_cache *cache, uint32_t asset_no, struct asset_definition *out);
/* `packed` is copied. Malformed, it is not kept. */
void index_cache_keep_asset(struct index_cache *cache, uint32_t asset_no, struct bytes packed);

#endif
