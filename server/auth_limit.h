#ifndef TALEA_SERVER_AUTH_LIMIT_H
#define TALEA_SERVER_AUTH_LIMIT_H
/*
 * How many wrong tokens an address may try in a minute, over all workers
 * (TALEA_AUTH_FAILURES_PER_MINUTE).
 *
 * Over the limit, until its minute ends, no token of that address is looked at
 * any more but those that have been accepted from there before: whoever guesses
 * learns nothing, not even by guessing right, and a client that works goes on
 * working, even when a hostile one shares its address, as all do behind a
 * proxy. Tokens are compared first in either case, so time tells nothing.
 *
 * The table has as many places as it has, whoever comes: an address takes the
 * place that a keyed hash gives it, with a key that is new with each start, so
 * nobody can choose whose place to share. Two that share one share its count.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/border.h"
#include "server/peer_address.h"

/* Minutes are those of `now_ns`, CLOCK_MONOTONIC. Any worker, at any time. */

/*
 * A token was right; `token` is the same number whenever it comes, and all 64
 * low bits of it may be shared by others. False: refuse it, the address is over `limit`.
 */
bool auth_limit_accepts(struct border *border, const struct peer_address *address, uint64_t now_ns, uint64_t limit,
                        unsigned token);

enum auth_failure { AUTH_FAILURE_COUNTED, AUTH_FAILURE_LAST, AUTH_FAILURE_OVER_LIMIT };

/*
 * A token was wrong. LAST: the limit is reached by it, which happens once in a
 * minute; OVER_LIMIT: it was reached before.
 */
enum auth_failure auth_limit_count(struct border *border, const struct peer_address *address, uint64_t now_ns,
                                   uint64_t limit);

/* Seconds until the minute ends; at least 1. */
unsigned auth_limit_wait_s(uint64_t now_ns);

#endif
