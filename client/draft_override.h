#ifndef TALEA_CLIENT_DRAFT_OVERRIDE_H
#define TALEA_CLIENT_DRAFT_OVERRIDE_H
/* Puts values in place of members of a JSON object and leaves every other byte of it as it is. */
#include <stdbool.h>
#include <stddef.h>

#include "client/text.h"

struct draft_member {
    const char *name;
    const char *value; /* JSON; NULL: leave the member alone, only say whether it is there */
    bool found;        /* set by draft_override */
};

/*
 * Appends `draft` to `out` with each member's value in place of the draft's
 * (of every one, when a name stands there twice), or added at the end when
 * the draft has none. 0, or EINVAL when `draft` is no JSON object; `out` is then
 * unspecified.
 */
int draft_override(const char *draft, size_t length, struct draft_member *members, size_t count,
                   struct text *out) __attribute__((warn_unused_result));

#endif
