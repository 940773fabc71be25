#include "server/auth_limit.h"

#define WINDOW_NS 60000000000ull

/* The minute in the upper half of a bucket's word, its failures in the lower. */
static uint64_t minute_of(uint64_t now_ns)
{
    return now_ns / WINDOW_NS << 32;
}

static uint64_t failures_in(uint64_t word, uint64_t minute)
{
    return (word & ~(uint64_t)UINT32_MAX) == minute ? word & UINT32_MAX : 0;
}

static struct auth_bucket *bucket_of(struct border *border, const struct peer_address *address)
{
    uint64_t hash = peer_address_hash(address, border->address_seed);
    return &border->auth_buckets[hash % AUTH_BUCKET_COUNT];
}

bool auth_limit_accepts(struct border *border, const struct peer_address *address, uint64_t now_ns, uint64_t limit,
                        unsigned token)
{
    struct auth_bucket *bucket = bucket_of(border, address);
    uint64_t bit = UINT64_C(1) << token % 64;
    if (atomic_load_explicit(&bucket->accepted, memory_order_relaxed) & bit)
        return true;
    uint64_t word = atomic_load_explicit(&bucket->failures, memory_order_relaxed);
    if (limit != 0 && failures_in(word, minute_of(now_ns)) >= limit)
        return false;
    atomic_fetch_or_explicit(&bucket->accepted, bit, memory_order_relaxed);
    return true;
}

enum auth_failure auth_limit_count(struct border *border, const struct peer_address *address, uint64_t now_ns,
                                   uint64_t limit)
{
    struct auth_bucket *bucket = bucket_of(border, address);
    uint64_t minute = minute_of(now_ns), failures;
    uint64_t word = atomic_load_explicit(&bucket->failures, memory_order_relaxed);
    if (limit == 0)
        return AUTH_FAILURE_COUNTED;
    do {
        failures = failures_in(word, minute);
        if (failures >= limit)
            return AUTH_FAILURE_OVER_LIMIT;
    } while (!atomic_compare_exchange_weak_explicit(&bucket->failures, &word, minute | (failures + 1),
                                                    memory_order_relaxed, memory_order_relaxed));
    return failures + 1 == limit ? AUTH_FAILURE_LAST : AUTH_FAILURE_COUNTED;
}

unsigned auth_limit_wait_s(uint64_t now_ns)
{
    return (unsigned)((WINDOW_NS - now_ns % WINDOW_NS + 999999999) / 1000000000);
}
