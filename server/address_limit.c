#include "server/address_limit.h"

static uint64_t connections_at(const struct border *border, uint32_t place)
{
    uint64_t sum = 0;
    uint32_t slots = atomic_load_explicit(&border->slot_count, memory_order_relaxed);
    for (uint32_t n = 0; n < slots; n++)
        sum += atomic_load_explicit(&border->worker[n].address_connections[place], memory_order_relaxed);
    return sum;
}

/* Counted first: two workers that take one each at the same time see both, and never let one too many in. */
bool address_limit_enter(struct border *border, uint32_t worker, const struct peer_address *address, uint64_t limit,
                         uint32_t *place)
{
    *place = (uint32_t)(peer_address_hash(address, border->address_seed) % ADDRESS_PLACE_COUNT);
    atomic_fetch_add(&border->worker[worker].address_connections[*place], 1);
    if (limit == 0 || connections_at(border, *place) <= limit)
        return true;
    address_limit_leave(border, worker, *place);
    return false;
}

void address_limit_leave(struct border *border, uint32_t worker, uint32_t place)
{
    atomic_fetch_sub(&border->worker[worker].address_connections[place], 1);
}
