#ifndef TALEA_SERVER_ANSWERS_H
#define TALEA_SERVER_ANSWERS_H
/*
 * Every answer's words: error envelopes and Posted, as JSON. A function that
 * writes an envelope returns its status.
 */
#include "common/draft.h"
#include "common/index_reader.h"
#include "common/uuid7.h"
#include "common/verdict.h"
#include "server/json_text.h"

int answer_invalid(struct json_text *j, const char *field, const char *reason);
int answer_unauthorized(struct json_text *j);
int answer_forbidden(struct json_text *j, struct bytes book);
int answer_unknown_account(struct json_text *j, struct bytes book, struct bytes path);
int answer_not_found(struct json_text *j, const char *kind, struct bytes name); /* what: "transaction <name>", or the kind alone */
int answer_method_not_allowed(struct json_text *j);
int answer_timeout(struct json_text *j);
int answer_overloaded(struct json_text *j, int status); /* 429 or 503 */
int answer_internal(struct json_text *j, const char *message);

/* The invalid_draft answer to a wrong or missing content type. */
int answer_content_type(struct json_text *j);

/* One draft's verdict: Posted or an envelope. `asset_id` names the account's asset of an ASSET_MISMATCH. */
int answer_post(struct json_text *j, const struct verdict *verdict, const struct draft *draft,
                struct bytes asset_id);
/* 204 writes nothing. */
int answer_asset(struct json_text *j, const struct verdict *verdict, const struct asset_definition *asset);
int answer_account(struct json_text *j, const struct verdict *verdict, const struct account_definition *account);

#endif
