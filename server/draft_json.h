#ifndef TALEA_SERVER_DRAFT_JSON_H
#define TALEA_SERVER_DRAFT_JSON_H
/*
 * Request bodies: strict JSON (yajl, as a stream, without a tree) to the
 * drafts of common/draft.h. Unknown fields are skipped, a known field given
 * twice is refused; metadata is kept byte for byte as a slice of the body.
 *
 * Strings without escapes are slices of the body too; others are decoded into
 * the arena. So body and arena must outlive the drafts.
 *
 * Checks form alone (types, lacking fields, integers, RFC 3339); what a draft
 * may say is the ledger's (common/ledger.h). Exceptions, because they are
 * words and not numbers afterwards: asset class and account kind, which are
 * reported with the field's own name.
 */
#include "common/draft.h"
#include "server/body_error.h"

/* Each returns 0 or EINVAL with *error filled. */
int draft_json_read(struct bytes body, struct arena *arena, struct draft *out, struct body_error *error)
    __attribute__((warn_unused_result));
/*
 * An array of drafts. More than `max` (TALEA_HTTP_BATCH_MAX) is refused with
 * the contract's words, after the whole body proved to be JSON.
 */
int draft_json_read_batch(struct bytes body, uint32_t max, struct arena *arena, struct draft **out, uint32_t *count,
                          struct body_error *error) __attribute__((warn_unused_result));
int asset_json_read(struct bytes body, struct arena *arena, struct asset_definition *out, struct body_error *error)
    __attribute__((warn_unused_result));
int account_json_read(struct bytes body, struct arena *arena, struct account_definition *out,
                      struct body_error *error) __attribute__((warn_unused_result));

#endif
