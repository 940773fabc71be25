#ifndef TALEA_ARBITER_KEY_FILTER_H
#define TALEA_ARBITER_KEY_FILTER_H
/*
 * A Bloom filter over digests of spilled idempotency keys, so that a new key
 * costs no disk read. It grows by layers, each twice as large as the one
 * before, and never says "no" to a key that was added. About 12 bits a key;
 * less than one new key in a hundred is taken for a spilled one and looked up.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/digest.h"

struct key_filter;

struct key_filter *key_filter_create(void);
void key_filter_destroy(struct key_filter **filter);
void key_filter_add(struct key_filter *filter, const struct sha256 *digest);
bool key_filter_may_contain(const struct key_filter *filter, const struct sha256 *digest);

#endif
