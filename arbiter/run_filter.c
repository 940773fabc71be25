#include "arbiter/run_filter.h"

/*
 * Bit-sliced: a group holds the filters of up to 64 runs of one size as rows;
 * row n has bit n of each of them, one run a column. A digest's rows, and-ed,
 * leave the columns of the runs that may hold it: a handful of cache lines for
 * 64 runs, whatever their number of keys.
 */
#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "arbiter/large_memory.h"
#include "common/exit_status.h"
#include "common/key_schema.h"
#include "common/report.h"

#define GROUPS_MAX 16384 /* of 64 runs: 68,000,000,000 keys in runs of the usual size */
#define KEYS_LOG2_LEAST 12
#define BITS_PER_KEY_LOG2 5
/* Rows that nearly every search of a group reads, and groups for which a core has misses enough to wait for. */
#define ROWS_EXPECTED 4
#define GROUPS_EXPECTED 4

struct group {
    unsigned log2;
    unsigned count;             /* columns in use; inserter alone */
    uint64_t counted;           /* columns that are published; looker alone */
    uint32_t runs[RUN_GROUP_MAX];
    _Atomic uint64_t *rows;     /* 2^log2 */
};

struct run_filter {
    struct group *groups[GROUPS_MAX];
    _Atomic unsigned group_count;
    struct group *inserted; /* the group of the last insert */
};

static void *must(void *p)
{
    if (!p)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory for the filter of the idempotency keys");
    return p;
}

static size_t rows_bytes(unsigned log2)
{
    return sizeof(uint64_t) << log2;
}

struct run_filter *run_filter_create(void)
{
    return must(calloc(1, sizeof(struct run_filter)));
}

void run_filter_destroy(struct run_filter **filter)
{
    if (!*filter)
        return;
    for (unsigned i = 0; i < (*filter)->group_count; i++) {
        large_free((void *)(*filter)->groups[i]->rows, rows_bytes((*filter)->groups[i]->log2));
        free((*filter)->groups[i]);
    }
    free(*filter);
    *filter = NULL;
}

unsigned run_filter_log2(uint64_t key_count)
{
    unsigned log2 = KEYS_LOG2_LEAST;
    /* A spill takes a few keys more than it waits for: an eighth over is still the smaller size. */
    while (log2 + BITS_PER_KEY_LOG2 < KEY_FILTER_LOG2_MAX && key_count > (9ull << log2) / 8)
        log2++;
    return log2 + BITS_PER_KEY_LOG2;
}

void run_filter_set(uint8_t *bits, unsigned log2, const struct sha256 *digest)
{
    for (unsigned k = 0; k < KEY_FILTER_BITS; k++) {
        uint32_t n = key_filter_bit(digest, k, log2);
        bits[n / 8] |= (uint8_t)(1u << n % 8);
    }
}

/* A group of this size with a free column. */
static struct group *group_with_room(struct run_filter *f, unsigned log2)
{
    unsigned count = atomic_load_explicit(&f->group_count, memory_order_relaxed);
    for (unsigned i = count; i-- > 0;)
        if (f->groups[i]->log2 == log2 && f->groups[i]->count < RUN_GROUP_MAX)
            return f->groups[i];
    if (count == GROUPS_MAX)
        report_fatal(EXIT_STATUS_FAILED, "the filter of the idempotency keys is full");
    struct group *g = must(calloc(1, sizeof *g));
    g->rows = must(large_alloc(rows_bytes(log2)));
    g->log2 = log2;
    f->groups[count] = g;
    atomic_store_explicit(&f->group_count, count + 1, memory_order_release);
    return g;
}

static uint64_t word_at(const uint8_t *bits, size_t n)
{
    return get_u64(bits + 8 * n);
}

void run_filter_insert(struct run_filter *f, unsigned log2, const struct run_bits *run)
{
    struct group *g = group_with_room(f, log2);
    uint64_t column = 1ull << g->count;
    for (size_t n = 0; n < ((size_t)1 << log2) / 64; n++)
        for (uint64_t word = word_at(run->bits, n); word; word &= word - 1) {
            _Atomic uint64_t *row = &g->rows[64 * n + (size_t)__builtin_ctzll(word)];
            atomic_store_explicit(row, atomic_load_explicit(row, memory_order_relaxed) | column, memory_order_relaxed);
        }
    g->runs[g->count++] = run->run;
    f->inserted = g;
}

void run_filter_publish(struct run_filter *f)
{
    assert(f->inserted);
    f->inserted->counted |= 1ull << (f->inserted->count - 1);
}

/* Transposes a matrix of 64 x 64 bits by swapping ever smaller blocks across its diagonal. */
static void transpose(uint64_t m[static 64])
{
    uint64_t mask = 0x00000000ffffffffull;
    for (unsigned step = 32; step; step >>= 1, mask ^= mask << step)
        for (unsigned i = 0; i < 64; i = (i + step + 1) & ~step) {
            uint64_t swap = ((m[i] >> step) ^ m[i + step]) & mask;
            m[i] ^= swap << step;
            m[i + step] ^= swap;
        }
}

void run_filter_load(struct run_filter *f, unsigned log2, const struct run_bits *runs, size_t count)
{
    assert(count <= RUN_GROUP_MAX);
    struct group *g = group_with_room(f, log2);
    assert(g->count == 0);
    for (size_t n = 0; n < ((size_t)1 << log2) / 64; n++) {
        uint64_t block[64] = {0};
        for (size_t i = 0; i < count; i++)
            block[i] = word_at(runs[i].bits, n);
        transpose(block);
        memcpy((void *)&g->rows[64 * n], block, sizeof block);
    }
    for (size_t i = 0; i < count; i++) {
        g->runs[g->count++] = runs[i].run;
        g->counted |= 1ull << i;
    }
}

void run_filter_expect(const struct run_filter *f, const struct sha256 *digest)
{
    unsigned count = atomic_load_explicit(&f->group_count, memory_order_acquire);
    for (unsigned i = count > GROUPS_EXPECTED ? count - GROUPS_EXPECTED : 0; i < count; i++)
        for (unsigned k = 0; k < ROWS_EXPECTED; k++)
            __builtin_prefetch((const void *)&f->groups[i]->rows[key_filter_bit(digest, k, f->groups[i]->log2)]);
}

bool run_filter_search(const struct run_filter *f, const struct sha256 *digest,
                       bool (*visit)(void *context, uint32_t run), void *context)
{
    unsigned count = atomic_load_explicit(&f->group_count, memory_order_acquire);
    for (unsigned i = count; i-- > 0;) {
        const struct group *g = f->groups[i];
        uint64_t columns = g->counted;
        for (unsigned k = 0; k < KEY_FILTER_BITS && columns; k++)
            columns &= atomic_load_explicit(&g->rows[key_filter_bit(digest, k, g->log2)], memory_order_relaxed);
        for (; columns; columns &= columns - 1)
            if (visit(context, g->runs[__builtin_ctzll(columns)]))
                return true;
    }
    return false;
}
