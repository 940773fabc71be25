#ifndef TALEA_SERVER_LEDGER_JSON_H
#define TALEA_SERVER_LEDGER_JSON_H
/* Pieces of the ledger as JSON that answers and events show alike; each writes a key and its value. */
#include "common/draft.h"
#include "server/json_text.h"

void json_account_key(struct json_text *j, const char *key, struct bytes book, struct bytes path); /* as text */
void json_amount(struct json_text *j, int64_t minor, struct bytes asset);
void json_external_refs(struct json_text *j, const struct draft *draft);
void json_metadata(struct json_text *j, const struct draft *draft); /* null when there is none */

#endif
