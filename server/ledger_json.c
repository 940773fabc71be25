#include "server/ledger_json.h"

#include "common/account_key.h"

void json_account_key(struct json_text *j, const char *key, struct bytes book, struct bytes path)
{
    struct buffer text = {0};
    account_key_append(&text, book, path);
    json_field(j, key, buffer_bytes(&text));
    buffer_free(&text);
}

void json_amount(struct json_text *j, int64_t minor, struct bytes asset)
{
    json_key(j, "amount");
    json_open_object(j);
    json_key(j, "minor");
    json_integer(j, minor);
    json_field(j, "asset", asset);
    json_close_object(j);
}

void json_external_refs(struct json_text *j, const struct draft *draft)
{
    json_key(j, "external_refs");
    json_open_array(j);
    for (uint32_t i = 0; i < draft->external_ref_count; i++) {
        json_open_object(j);
        json_field(j, "kind", draft->external_refs[i].kind);
        json_field(j, "value", draft->external_refs[i].value);
        json_close_object(j);
    }
    json_close_array(j);
}

void json_metadata(struct json_text *j, const struct draft *draft)
{
    json_key(j, "metadata");
    if (draft->metadata.base)
        json_verbatim(j, draft->metadata);
    else
        json_null(j);
}
