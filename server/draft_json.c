#include "server/draft_json.h"

/* What each body looks like, as tables for json_shape.h, and the few words whose meaning is checked here. */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

#include "server/json_shape.h"

/* --- words --- */

static bool convert_direction(struct bytes text, void *target, struct body_error *late)
{
    enum direction *direction = target;
    (void)late;
    *direction = bytes_equal(text, BYTES_LITERAL("debit")) ? DIRECTION_DEBIT : DIRECTION_CREDIT;
    return *direction == DIRECTION_DEBIT || bytes_equal(text, BYTES_LITERAL("credit"));
}

static bool convert_normal_side(struct bytes text, void *target, struct body_error *late)
{
    enum normal_side *side = target;
    (void)late;
    *side = normal_side_of_word(text);
    return *side != NORMAL_SIDE_NONE;
}

static bool convert_time(struct bytes text, void *target, struct body_error *late)
{
    (void)late;
    return rfc3339_parse(text, target) == 0;
}

/* A word that is none, quoted, cut on a character's boundary. */
static void refuse_word(struct body_error *late, const char *field, const char *what, struct bytes word)
{
    size_t length = word.len < 100 ? word.len : 100;
    while (length < word.len && length > 0 && (word.base[length] & 0xc0) == 0x80)
        length--;
    late->field = field;
    snprintf(late->reason, sizeof late->reason, "unknown %s '%.*s'", what, (int)length, (const char *)word.base);
}

static bool convert_class(struct bytes text, void *target, struct body_error *late)
{
    enum asset_class *class = target;
    if (bytes_equal(text, BYTES_LITERAL("fiat")))
        *class = ASSET_CLASS_FIAT;
    else if (bytes_equal(text, BYTES_LITERAL("crypto")))
        *class = ASSET_CLASS_CRYPTO;
    else
        refuse_word(late, "class", "asset class", text);
    return true;
}

static bool convert_kind(struct bytes text, void *target, struct body_error *late)
{
    enum account_kind *kind = target;
    *kind = account_kind_of_word(text);
    if (!*kind)
        refuse_word(late, "kind", "account kind", text);
    return true;
}

/* --- shapes --- */

#define A_STRING .type = JSON_TEXT, .expected = "a string"
#define AN_INTEGER .type = JSON_INTEGER, .expected = "an integer in the 64-bit range"
#define AN_OBJECT .type = JSON_OBJECT, .expected = "an object"
#define AN_ARRAY .type = JSON_LIST, .expected = "an array", .count_max = UINT32_MAX
#define OBJECT(table, struct_type) {table, sizeof table / sizeof *table, sizeof(struct_type)}

static const struct json_field amount_fields[] = {
    {JSON_NAME("minor"), AN_INTEGER, .required = true, .offset = offsetof(struct posting, minor)},
    {JSON_NAME("asset"), A_STRING, .required = true, .offset = offsetof(struct posting, asset)},
};
static const struct json_object amount_object = OBJECT(amount_fields, struct posting);

static const struct json_field posting_fields[] = {
    {JSON_NAME("account"), A_STRING, .required = true, .offset = offsetof(struct posting, account)},
    {JSON_NAME("amount"), AN_OBJECT, .required = true, .object = &amount_object},
    {JSON_NAME("direction"), .type = JSON_TEXT, .expected = "\"debit\" or \"credit\"", .required = true,
     .convert = convert_direction, .offset = offsetof(struct posting, direction)},
};
static const struct json_object posting_object = OBJECT(posting_fields, struct posting);

static const struct json_field external_ref_fields[] = {
    {JSON_NAME("kind"), A_STRING, .required = true, .offset = offsetof(struct external_ref, kind)},
    {JSON_NAME("value"), A_STRING, .required = true, .offset = offsetof(struct external_ref, value)},
};
static const struct json_object external_ref_object = OBJECT(external_ref_fields, struct external_ref);

static const struct json_field draft_fields[] = {
    {JSON_NAME("book"), A_STRING, .required = true, .offset = offsetof(struct draft, book)},
    {JSON_NAME("idempotency_key"), A_STRING, .required = true, .offset = offsetof(struct draft, idempotency_key)},
    {JSON_NAME("postings"), AN_ARRAY, .required = true, .object = &posting_object,
     .offset = offsetof(struct draft, postings), .count_offset = offsetof(struct draft, posting_count)},
    {JSON_NAME("external_refs"), AN_ARRAY, .object = &external_ref_object,
     .offset = offsetof(struct draft, external_refs), .count_offset = offsetof(struct draft, external_ref_count)},
    {JSON_NAME("metadata"), .type = JSON_SLICE, .nullable = true, .offset = offsetof(struct draft, metadata)},
    {JSON_NAME("occurred_at"), .type = JSON_TEXT, .expected = "an RFC 3339 date-time", .nullable = true,
     .convert = convert_time, .offset = offsetof(struct draft, occurred_at),
     .flag_offset = offsetof(struct draft, has_occurred_at)},
};
static const struct json_object draft_object = OBJECT(draft_fields, struct draft);
static const struct json_field draft_root = {AN_OBJECT, .object = &draft_object};

static const struct json_field asset_fields[] = {
    {JSON_NAME("id"), A_STRING, .required = true, .offset = offsetof(struct asset_definition, id)},
    {JSON_NAME("class"), A_STRING, .required = true, .convert = convert_class,
     .offset = offsetof(struct asset_definition, class)},
    {JSON_NAME("network"), A_STRING, .nullable = true, .offset = offsetof(struct asset_definition, network),
     .flag_offset = offsetof(struct asset_definition, has_network)},
    {JSON_NAME("native_id"), A_STRING, .nullable = true, .offset = offsetof(struct asset_definition, native_id),
     .flag_offset = offsetof(struct asset_definition, has_native_id)},
    {JSON_NAME("precision"), .type = JSON_OCTET, .expected = "an integer from 0 to 255", .required = true,
     .offset = offsetof(struct asset_definition, precision)},
    {JSON_NAME("name"), A_STRING, .required = true, .offset = offsetof(struct asset_definition, name)},
};
static const struct json_object asset_object = OBJECT(asset_fields, struct asset_definition);
static const struct json_field asset_root = {AN_OBJECT, .object = &asset_object};

static const struct json_field account_fields[] = {
    {JSON_NAME("book"), A_STRING, .required = true, .offset = offsetof(struct account_definition, book)},
    {JSON_NAME("path"), A_STRING, .required = true, .offset = offsetof(struct account_definition, path)},
    {JSON_NAME("asset"), A_STRING, .required = true, .offset = offsetof(struct account_definition, asset)},
    {JSON_NAME("kind"), A_STRING, .required = true, .convert = convert_kind,
     .offset = offsetof(struct account_definition, kind)},
    {JSON_NAME("normal_side"), .type = JSON_TEXT, .expected = "\"debit\", \"credit\"", .nullable = true,
     .convert = convert_normal_side, .offset = offsetof(struct account_definition, normal_side)},
    {JSON_NAME("min_balance"), AN_INTEGER, .nullable = true, .offset = offsetof(struct account_definition, min_balance),
     .flag_offset = offsetof(struct account_definition, has_min_balance)},
};
static const struct json_object account_object = OBJECT(account_fields, struct account_definition);
static const struct json_field account_root = {AN_OBJECT, .object = &account_object};

/* --- readers --- */

int draft_json_read(struct bytes body, struct arena *arena, struct draft *out, struct body_error *error)
{
    *out = (struct draft){0};
    return json_shape_read(body, &draft_root, arena, out, error);
}

struct batch {
    struct draft *drafts;
    uint32_t count;
};

int draft_json_read_batch(struct bytes body, uint32_t max, struct arena *arena, struct draft **out, uint32_t *count,
                          struct body_error *error)
{
    const struct json_field root = {
        .type = JSON_LIST,
        .expected = "an array",
        .object = &draft_object,
        .offset = offsetof(struct batch, drafts),
        .count_offset = offsetof(struct batch, count),
        .count_max = max,
    };
    struct batch batch = {0};
    int failed = json_shape_read(body, &root, arena, &batch, error);
    if (failed)
        return failed;
    if (batch.count > max) {
        error->field = "body";
        snprintf(error->reason, sizeof error->reason,
                 "batch length %" PRIu32 " exceeds cap %" PRIu32 " (TALEA_HTTP_BATCH_MAX)", batch.count, max);
        return EINVAL;
    }
    *out = batch.drafts;
    *count = batch.count;
    return 0;
}

int asset_json_read(struct bytes body, struct arena *arena, struct asset_definition *out, struct body_error *error)
{
    *out = (struct asset_definition){0};
    return json_shape_read(body, &asset_root, arena, out, error);
}

int account_json_read(struct bytes body, struct arena *arena, struct account_definition *out,
                      struct body_error *error)
{
    *out = (struct account_definition){0};
    return json_shape_read(body, &account_root, arena, out, error);
}
