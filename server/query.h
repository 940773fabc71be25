#ifndef TALEA_SERVER_QUERY_H
#define TALEA_SERVER_QUERY_H
/*
 * Query parameters: percent-decoded once, `+` is a space, unknown ones are
 * ignored, a known one given twice is refused. Each reader returns 0, or
 * EINVAL with *reason set to one line for the invalid_draft answer.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/bytes.h"
#include "common/rfc3339.h"

int query_as_of(struct bytes query, struct arena *arena, bool *present, struct timestamp *out, const char **reason)
    __attribute__((warn_unused_result));
/* Clamped to 1..1000; 100 when absent. */
int query_limit(struct bytes query, struct arena *arena, uint32_t *out, const char **reason)
    __attribute__((warn_unused_result));
/* after_seq or from: a signed integer, a negative one is 0; 0 when absent. */
int query_sequence(struct bytes query, const char *name, struct arena *arena, uint64_t *out, const char **reason)
    __attribute__((warn_unused_result));

/* The same rule for a text from elsewhere (Last-Event-ID). */
int parse_sequence(struct bytes text, uint64_t *out) __attribute__((warn_unused_result));

#endif
