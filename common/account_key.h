#ifndef TALEA_COMMON_ACCOUNT_KEY_H
#define TALEA_COMMON_ACCOUNT_KEY_H
/*
 * `book:path` as answers and errors write it: every `:` and `\` inside the
 * book gets a `\` before it, the path stands as it is.
 */
#include "common/buffer.h"

void account_key_append(struct buffer *out, struct bytes book, struct bytes path);

#endif
