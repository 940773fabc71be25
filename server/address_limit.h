#ifndef TALEA_SERVER_ADDRESS_LIMIT_H
#define TALEA_SERVER_ADDRESS_LIMIT_H
/*
 * How many connections an address may have, over all workers
 * (TALEA_MAX_CONNECTIONS_PER_ADDRESS). Each worker counts its own, by the place
 * that a keyed hash gives an address, so that a worker that dies takes its
 * counts along; the sum over workers is what is bounded. Two addresses that
 * share a place share its count: with a bound so low that this shows, some
 * 4,000 addresses must be connected at once.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/border.h"
#include "server/peer_address.h"

/* Counts a connection of the worker's, and says in *place where; false, and not counted: it is one too many. */
bool address_limit_enter(struct border *border, uint32_t worker, const struct peer_address *address, uint64_t limit,
                         uint32_t *place);
void address_limit_leave(struct border *border, uint32_t worker, uint32_t place);

#endif
