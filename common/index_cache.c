#include "common/index_cache.h"

#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "common/exit_status.h"
#include "common/report.h"

#define BOOKS_KEPT_BITS 6
#define BOOK_NAME_KEPT_BYTES 48
#define ASSETS_KEPT 128
#define ASSET_KEPT_BYTES 512

/* Books and times: the newest that falls on a place takes it. A number of 0 is none. */
struct kept_book {
    struct book_row row;
    size_t name_length;
    uint8_t name[BOOK_NAME_KEPT_BYTES];
};

struct kept_time {
    uint64_t seq;
    int64_t at_us;
    uint32_t book_no;
};

struct kept_asset {
    void *packed; /* what the definition's slices point into; NULL: there is none */
    struct asset_definition definition;
};

struct index_cache {
    struct kept_book books[1u << BOOKS_KEPT_BITS];
    struct kept_time times[INDEX_CACHE_TIMES];
    struct kept_asset assets[ASSETS_KEPT]; /* by number */
};

static void *must(void *p)
{
    if (!p)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory: cannot keep what was read of the index");
    return p;
}

struct index_cache *index_cache_create(void)
{
    return must(calloc(1, sizeof(struct index_cache)));
}

void index_cache_clear(struct index_cache *cache)
{
    for (size_t i = 0; i < ASSETS_KEPT; i++)
        free(cache->assets[i].packed);
    memset(cache, 0, sizeof *cache);
}

void index_cache_destroy(struct index_cache **cache)
{
    if (!*cache)
        return;
    index_cache_clear(*cache);
    free(*cache);
    *cache = NULL;
}

/* Numbers that are multiples of a power of two spread as well as any (Fibonacci hashing). */
static size_t place_of(uint64_t number, unsigned bits)
{
    return (size_t)(number * 0x9e3779b97f4a7c15u >> (64 - bits));
}

/* --- books --- */

static size_t book_place(struct bytes name)
{
    return (size_t)(XXH3_64bits(name.base, name.len) >> (64 - BOOKS_KEPT_BITS));
}

bool index_cache_book(const struct index_cache *cache, struct bytes name, struct book_row *out)
{
    if (name.len > BOOK_NAME_KEPT_BYTES)
        return false;
    const struct kept_book *book = &cache->books[book_place(name)];
    if (book->row.book_no == 0 || !bytes_equal(bytes_of(book->name, book->name_length), name))
        return false;
    *out = book->row;
    return true;
}

void index_cache_keep_book(struct index_cache *cache, struct bytes name, const struct book_row *row)
{
    if (name.len > BOOK_NAME_KEPT_BYTES)
        return;
    struct kept_book *book = &cache->books[book_place(name)];
    book->row = *row;
    book->name_length = name.len;
    if (name.len)
        memcpy(book->name, name.base, name.len);
}

/* --- times --- */

static size_t time_place(uint32_t book_no, uint64_t seq)
{
    return place_of(seq ^ (uint64_t)book_no << 40, INDEX_CACHE_TIMES_BITS);
}

bool index_cache_time(const struct index_cache *cache, uint32_t book_no, uint64_t seq, int64_t *at_us)
{
    const struct kept_time *time = &cache->times[time_place(book_no, seq)];
    if (time->seq != seq || time->book_no != book_no)
        return false;
    *at_us = time->at_us;
    return true;
}

void index_cache_keep_time(struct index_cache *cache, uint32_t book_no, uint64_t seq, int64_t at_us)
{
    cache->times[time_place(book_no, seq)] = (struct kept_time){seq, at_us, book_no};
}

/* --- assets --- */

bool index_cache_asset(const struct index_cache *cache, uint32_t asset_no, struct asset_definition *out)
{
    if (asset_no >= ASSETS_KEPT || !cache->assets[asset_no].packed)
        return false;
    *out = cache->assets[asset_no].definition;
    return true;
}

void index_cache_keep_asset(struct index_cache *cache, uint32_t asset_no, struct bytes packed)
{
    if (asset_no >= ASSETS_KEPT || cache->assets[asset_no].packed || packed.len == 0 || packed.len > ASSET_KEPT_BYTES)
        return;
    struct kept_asset *asset = &cache->assets[asset_no];
    asset->packed = must(malloc(packed.len));
    memcpy(asset->packed, packed.base, packed.len);
    if (asset_definition_unpack(bytes_of(asset->packed, packed.len), &asset->definition) != 0) {
        free(asset->packed);
        asset->packed = NULL;
    }
}
