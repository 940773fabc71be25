#include "arbiter/key_filter.h"

/*
 * Blocked: the bits of one key lie in one block of 64 bytes, so a look costs
 * one cache line for each layer. A SHA-256 digest is random already, its own
 * octets choose block and bits.
 */
#include <stdlib.h>
#include <string.h>

#include "common/exit_status.h"
#include "common/report.h"

#define FIRST_LAYER_BLOCKS 4096u /* power of two; 42 keys a block */
#define KEYS_PER_BLOCK 42u
#define BITS_PER_KEY 7
#define LAYERS_MAX 32

struct block {
    _Alignas(64) uint64_t words[8];
};

struct layer {
    struct block *blocks;
    uint64_t block_count;
    uint64_t key_count;
};

struct key_filter {
    struct layer layers[LAYERS_MAX];
    unsigned layer_count;
};

static void add_layer(struct key_filter *f)
{
    if (f->layer_count == LAYERS_MAX)
        report_fatal(EXIT_STATUS_NO_MEMORY, "the idempotency filter cannot grow any more");
    struct layer *layer = &f->layers[f->layer_count];
    uint64_t count = (uint64_t)FIRST_LAYER_BLOCKS << f->layer_count;
    struct block *blocks = aligned_alloc(64, count * sizeof *blocks);
    if (!blocks)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory for the idempotency filter");
    memset(blocks, 0, count * sizeof *blocks);
    *layer = (struct layer){.blocks = blocks, .block_count = count};
    f->layer_count++;
}

struct key_filter *key_filter_create(void)
{
    struct key_filter *f = calloc(1, sizeof *f);
    if (!f)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory for the idempotency filter");
    add_layer(f);
    return f;
}

void key_filter_destroy(struct key_filter **filter)
{
    if (!*filter)
        return;
    for (unsigned i = 0; i < (*filter)->layer_count; i++)
        free((*filter)->layers[i].blocks);
    free(*filter);
    *filter = NULL;
}

static struct block *block_of(const struct layer *layer, const struct sha256 *digest)
{
    uint64_t n;
    memcpy(&n, digest->octets, sizeof n);
    return &layer->blocks[n & (layer->block_count - 1)];
}

/* The k-th bit of a key within its block, 0..511, from octets that chose no block. */
static unsigned bit_of(const struct sha256 *digest, int k)
{
    uint16_t n;
    memcpy(&n, digest->octets + 8 + 2 * k, sizeof n);
    return n & 511u;
}

void key_filter_add(struct key_filter *f, const struct sha256 *digest)
{
    struct layer *layer = &f->layers[f->layer_count - 1];
    if (layer->key_count >= layer->block_count * KEYS_PER_BLOCK) {
        add_layer(f);
        layer = &f->layers[f->layer_count - 1];
    }
    struct block *block = block_of(layer, digest);
    for (int k = 0; k < BITS_PER_KEY; k++)
        block->words[bit_of(digest, k) / 64] |= 1ull << (bit_of(digest, k) % 64);
    layer->key_count++;
}

static bool block_has(const struct block *block, const struct sha256 *digest)
{
    for (int k = 0; k < BITS_PER_KEY; k++)
        if (!(block->words[bit_of(digest, k) / 64] >> (bit_of(digest, k) % 64) & 1))
            return false;
    return true;
}

bool key_filter_may_contain(const struct key_filter *f, const struct sha256 *digest)
{
    for (unsigned i = f->layer_count; i-- > 0;)
        if (block_has(block_of(&f->layers[i], digest), digest))
            return true;
    return false;
}
