#ifndef TALEA_CLIENT_DRAFT_H
#define TALEA_CLIENT_DRAFT_H
/*
 * A transaction draft from what the command line says: postings written as
 * <account>:<asset>:<minor>, and fields that override those of a draft file,
 * whose other fields pass through byte for byte.
 */
#include <stdbool.h>
#include <stddef.h>

#include "client/options.h"
#include "client/text.h"

/* Reads from the right, so the account may hold colons. Slices of `text`. False when it is none. */
struct posting_argument {
    const char *account, *asset, *minor;
    size_t account_len, asset_len, minor_len;
};
bool posting_argument_parse(const char *text, struct posting_argument *out);

/* Builds the body of `talea post`. False with one line on stderr. `file` is the draft's JSON, or NULL. */
bool draft_build(const struct arguments *arguments, const char *file, size_t file_len, struct text *out);

#endif
