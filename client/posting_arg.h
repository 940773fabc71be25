#ifndef TALEA_CLIENT_POSTING_ARG_H
#define TALEA_CLIENT_POSTING_ARG_H
/*
 * A posting on the command line: <account>:<asset>:<minor>, read from the
 * right, so that the account may hold colons (an asset cannot).
 */
#include <stdint.h>
#include <stddef.h>

#include "client/text.h"

/* Account and asset are slices of the argument. */
struct posting_arg {
    const char *account, *asset;
    size_t account_len, asset_len;
    int64_t minor;
};

/* 0, EINVAL when it has not three parts that hold something, ERANGE when minor is no 64-bit whole number. */
int posting_arg_parse(const char *arg, struct posting_arg *out) __attribute__((warn_unused_result));

/* Appends it as a posting of a draft; `direction` is "debit" or "credit". */
void posting_arg_add_json(struct text *out, const struct posting_arg *posting, const char *direction);

#endif
