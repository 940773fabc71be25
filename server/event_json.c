#include "server/event_json.h"

#include <errno.h>

#include "common/rfc3339.h"
#include "server/ledger_json.h"

static void write_account_id(struct json_text *j, const char *key, struct bytes book, struct bytes path)
{
    json_key(j, key);
    json_open_object(j);
    json_field(j, "book", book);
    json_field(j, "path", path);
    json_close_object(j);
}

static int write_account_opened(struct json_text *j, const struct event *event)
{
    struct account_definition account;
    if (account_definition_unpack(event->body, &account) != 0)
        return EBADMSG;
    json_key(j, "def");
    json_open_object(j);
    write_account_id(j, "id", event->book, account.path);
    json_field(j, "asset", account.asset);
    json_field(j, "kind", bytes_of_string(account_kind_word(account.kind)));
    json_close_object(j);
    json_key(j, "cfg");
    json_open_object(j);
    json_key(j, "normal_side");
    if (account.normal_side == NORMAL_SIDE_NONE)
        json_null(j);
    else
        json_cstring(j, normal_side_word(account.normal_side));
    json_key(j, "min_balance");
    if (account.has_min_balance)
        json_integer(j, account.min_balance);
    else
        json_null(j);
    json_close_object(j);
    return 0;
}

static int write_asset_registered(struct json_text *j, const struct event *event)
{
    struct asset_definition asset;
    if (asset_definition_unpack(event->body, &asset) != 0)
        return EBADMSG;
    json_field(j, "id", asset.id);
    json_key(j, "class");
    if (asset.class == ASSET_CLASS_FIAT) {
        json_cstring(j, "fiat");
    } else {
        json_open_object(j);
        json_key(j, "crypto");
        json_open_object(j);
        json_field(j, "network", asset.network);
        json_key(j, "native_id");
        if (asset.has_native_id)
            json_string(j, asset.native_id);
        else
            json_null(j);
        json_close_object(j);
        json_close_object(j);
    }
    json_key(j, "precision");
    json_integer(j, asset.precision);
    json_field(j, "name", asset.name);
    return 0;
}

static void write_posting(struct json_text *j, struct bytes book, const struct posting *posting)
{
    json_open_object(j);
    write_account_id(j, "account", book, posting->account);
    json_amount(j, posting->minor, posting->asset);
    json_field(j, "direction", bytes_of_string(direction_word(posting->direction)));
    json_close_object(j);
}

static int write_transaction_posted(struct json_text *j, const struct event *event, struct arena *arena)
{
    struct draft draft;
    char id[UUID_TEXT_LEN], occurred[RFC3339_TEXT_MAX];
    if (draft_unpack_body(event->body, arena, &draft) != 0)
        return EBADMSG;
    uuid_format(event->tx_id, id);
    json_field(j, "id", bytes_of(id, UUID_TEXT_LEN));
    json_field(j, "book", event->book);
    json_key(j, "postings");
    json_open_array(j);
    for (uint32_t i = 0; i < draft.posting_count; i++)
        write_posting(j, event->book, &draft.postings[i]);
    json_close_array(j);
    json_field(j, "idempotency_key", draft.idempotency_key);
    json_external_refs(j, &draft);
    json_metadata(j, &draft);
    struct timestamp when = draft.has_occurred_at ? draft.occurred_at : timestamp_of_us(event->at_us);
    int n = rfc3339_format(when, occurred);
    json_field(j, "occurred_at", bytes_of(occurred, (size_t)n));
    return 0;
}

static int write_payload(struct json_text *j, const struct event *event, struct arena *arena)
{
    json_key(j, "payload");
    json_open_object(j);
    json_field(j, "kind", bytes_of_string(event_kind_word(event->kind)));
    int error = 0;
    switch (event->kind) {
    case EVENT_ACCOUNT_OPENED:
        error = write_account_opened(j, event);
        break;
    case EVENT_ASSET_REGISTERED:
        error = write_asset_registered(j, event);
        break;
    case EVENT_TRANSACTION_POSTED:
        error = write_transaction_posted(j, event, arena);
        break;
    }
    json_close_object(j);
    return error;
}

int event_json(struct json_text *j, const struct event *event, struct arena *arena)
{
    char at[RFC3339_TEXT_MAX];
    int n = rfc3339_format_us(event->at_us, at);
    arena_reset(arena);
    json_open_object(j);
    json_key(j, "seq");
    json_unsigned(j, event->seq);
    json_field(j, "at", bytes_of(at, (size_t)n));
    json_field(j, "kind", bytes_of_string(event_kind_word(event->kind)));
    int error = write_payload(j, event, arena);
    json_close_object(j);
    return error;
}
