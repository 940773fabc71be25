#include "common/draft.h"

/*
 * Packing with msgpack-c into a buffer, unpacking with msgpack_reader.h, which
 * says why not with msgpack-c. Memory for postings and refs is allocated by a
 * count that the input claims, so the count is first held against the fewest
 * bytes that so many can take. Names are not checked for UTF-8: whoever decoded
 * the JSON has done it.
 */
#include <errno.h>

#include <msgpack.h>

#include "common/msgpack_reader.h"

#define POSTING_BYTES_MIN 5      /* array head, two empty strings, two small integers */
#define EXTERNAL_REF_BYTES_MIN 3 /* array head, two empty strings */

static const char *const kind_words[] = {
    [ACCOUNT_KIND_ASSET] = "asset",     [ACCOUNT_KIND_LIABILITY] = "liability", [ACCOUNT_KIND_INCOME] = "income",
    [ACCOUNT_KIND_EXPENSE] = "expense", [ACCOUNT_KIND_EQUITY] = "equity",       [ACCOUNT_KIND_CLEARING] = "clearing",
};
#define KIND_COUNT (sizeof kind_words / sizeof *kind_words)

const char *account_kind_word(enum account_kind kind)
{
    return (unsigned)kind < KIND_COUNT ? kind_words[kind] : NULL;
}

enum account_kind account_kind_of_word(struct bytes word)
{
    for (unsigned kind = 1; kind < KIND_COUNT; kind++)
        if (bytes_equal(word, bytes_of_string(kind_words[kind])))
            return (enum account_kind)kind;
    return 0;
}

const char *normal_side_word(enum normal_side side)
{
    switch (side) {
    case NORMAL_SIDE_NONE:
        break;
    case NORMAL_SIDE_DEBIT:
        return "debit";
    case NORMAL_SIDE_CREDIT:
        return "credit";
    }
    return NULL;
}

enum normal_side normal_side_of_word(struct bytes word)
{
    if (bytes_equal(word, BYTES_LITERAL("debit")))
        return NORMAL_SIDE_DEBIT;
    return bytes_equal(word, BYTES_LITERAL("credit")) ? NORMAL_SIDE_CREDIT : NORMAL_SIDE_NONE;
}

const char *direction_word(enum direction direction)
{
    switch (direction) {
    case DIRECTION_DEBIT:
        return "debit";
    case DIRECTION_CREDIT:
        return "credit";
    }
    return NULL;
}

/* --- packing --- */

static void pack_str(msgpack_packer *pk, struct bytes s)
{
    msgpack_pack_str(pk, s.len);
    msgpack_pack_str_body(pk, s.base, s.len);
}

static void pack_optional_str(msgpack_packer *pk, bool present, struct bytes s)
{
    if (present)
        pack_str(pk, s);
    else
        msgpack_pack_nil(pk);
}

void draft_pack_body(struct buffer *out, const struct draft *draft)
{
    msgpack_packer pk;
    msgpack_packer_init(&pk, out, buffer_msgpack_write);
    msgpack_pack_array(&pk, 5);
    pack_str(&pk, draft->idempotency_key);
    msgpack_pack_array(&pk, draft->posting_count);
    for (uint32_t i = 0; i < draft->posting_count; i++) {
        const struct posting *p = &draft->postings[i];
        msgpack_pack_array(&pk, 4);
        pack_str(&pk, p->account);
        msgpack_pack_int64(&pk, p->minor);
        pack_str(&pk, p->asset);
        msgpack_pack_int(&pk, p->direction);
    }
    msgpack_pack_array(&pk, draft->external_ref_count);
    for (uint32_t i = 0; i < draft->external_ref_count; i++) {
        msgpack_pack_array(&pk, 2);
        pack_str(&pk, draft->external_refs[i].kind);
        pack_str(&pk, draft->external_refs[i].value);
    }
    if (draft->metadata.base) {
        msgpack_pack_bin(&pk, draft->metadata.len);
        msgpack_pack_bin_body(&pk, draft->metadata.base, draft->metadata.len);
    } else {
        msgpack_pack_nil(&pk);
    }
    if (draft->has_occurred_at) {
        msgpack_pack_array(&pk, 2);
        msgpack_pack_int64(&pk, draft->occurred_at.seconds);
        msgpack_pack_uint32(&pk, draft->occurred_at.nanos);
    } else {
        msgpack_pack_nil(&pk);
    }
}

void asset_definition_pack(struct buffer *out, const struct asset_definition *asset)
{
    msgpack_packer pk;
    msgpack_packer_init(&pk, out, buffer_msgpack_write);
    msgpack_pack_array(&pk, 6);
    pack_str(&pk, asset->id);
    msgpack_pack_int(&pk, asset->class);
    pack_optional_str(&pk, asset->has_network, asset->network);
    pack_optional_str(&pk, asset->has_native_id, asset->native_id);
    msgpack_pack_uint8(&pk, asset->precision);
    pack_str(&pk, asset->name);
}

void account_definition_pack(struct buffer *out, const struct account_definition *account)
{
    msgpack_packer pk;
    msgpack_packer_init(&pk, out, buffer_msgpack_write);
    msgpack_pack_array(&pk, 5);
    pack_str(&pk, account->path);
    pack_str(&pk, account->asset);
    msgpack_pack_int(&pk, account->kind);
    msgpack_pack_int(&pk, account->normal_side);
    if (account->has_min_balance)
        msgpack_pack_int64(&pk, account->min_balance);
    else
        msgpack_pack_nil(&pk);
}

/* --- unpacking --- */

static unsigned read_enum(struct msgpack_reader *r, unsigned from, unsigned to)
{
    uint64_t value = msgpack_read_uint(r);
    if (value < from || value > to)
        r->failed = true;
    return r->failed ? from : (unsigned)value;
}

static bool read_optional_str(struct msgpack_reader *r, struct bytes *out)
{
    *out = bytes_of(NULL, 0);
    if (msgpack_read_nil(r))
        return false;
    *out = msgpack_read_str(r);
    return true;
}

/* An array's count, refused where that many elements of `element_bytes_min` each cannot be there. */
static uint32_t read_count(struct msgpack_reader *r, size_t element_bytes_min)
{
    uint32_t count = msgpack_read_array(r);
    if (count > (size_t)(r->end - r->at) / element_bytes_min)
        r->failed = true;
    return r->failed ? 0 : count;
}

static void read_postings(struct msgpack_reader *r, struct arena *arena, struct draft *out)
{
    uint32_t count = read_count(r, POSTING_BYTES_MIN);
    struct posting *postings = arena_alloc(arena, count * sizeof *postings);
    for (uint32_t i = 0; i < count && !r->failed; i++) {
        msgpack_expect_array(r, 4);
        postings[i].account = msgpack_read_str(r);
        postings[i].minor = msgpack_read_int(r);
        postings[i].asset = msgpack_read_str(r);
        postings[i].direction = read_enum(r, DIRECTION_DEBIT, DIRECTION_CREDIT);
    }
    out->postings = postings;
    out->posting_count = count;
}

static void read_external_refs(struct msgpack_reader *r, struct arena *arena, struct draft *out)
{
    uint32_t count = read_count(r, EXTERNAL_REF_BYTES_MIN);
    struct external_ref *refs = arena_alloc(arena, count * sizeof *refs);
    for (uint32_t i = 0; i < count && !r->failed; i++) {
        msgpack_expect_array(r, 2);
        refs[i].kind = msgpack_read_str(r);
        refs[i].value = msgpack_read_str(r);
    }
    out->external_refs = refs;
    out->external_ref_count = count;
}

static void read_occurred_at(struct msgpack_reader *r, struct draft *out)
{
    out->has_occurred_at = !msgpack_read_nil(r);
    if (!out->has_occurred_at)
        return;
    msgpack_expect_array(r, 2);
    out->occurred_at.seconds = msgpack_read_int(r);
    uint64_t nanos = msgpack_read_uint(r);
    out->occurred_at.nanos = nanos > UINT32_MAX ? UINT32_MAX : (uint32_t)nanos;
    if (!timestamp_is_valid(out->occurred_at))
        r->failed = true;
}

int draft_unpack_body(struct bytes packed, struct arena *arena, struct draft *out)
{
    struct msgpack_reader r = msgpack_reader_of(packed);
    *out = (struct draft){0};
    msgpack_expect_array(&r, 5);
    out->idempotency_key = msgpack_read_str(&r);
    read_postings(&r, arena, out);
    read_external_refs(&r, arena, out);
    if (!msgpack_read_nil(&r))
        out->metadata = msgpack_read_bin(&r);
    read_occurred_at(&r, out);
    return msgpack_reader_done(&r) ? 0 : EBADMSG;
}

uint32_t draft_packed_posting_count(struct bytes packed)
{
    struct msgpack_reader r = msgpack_reader_of(packed);
    msgpack_expect_array(&r, 5);
    (void)msgpack_read_str(&r);
    uint32_t count = msgpack_read_array(&r);
    return msgpack_reader_ok(&r) && count <= packed.len ? count : 0;
}

int asset_definition_unpack(struct bytes packed, struct asset_definition *out)
{
    struct msgpack_reader r = msgpack_reader_of(packed);
    *out = (struct asset_definition){0};
    msgpack_expect_array(&r, 6);
    out->id = msgpack_read_str(&r);
    out->class = read_enum(&r, ASSET_CLASS_FIAT, ASSET_CLASS_CRYPTO);
    out->has_network = read_optional_str(&r, &out->network);
    out->has_native_id = read_optional_str(&r, &out->native_id);
    out->precision = (uint8_t)read_enum(&r, 0, UINT8_MAX);
    out->name = msgpack_read_str(&r);
    return msgpack_reader_done(&r) ? 0 : EBADMSG;
}

int account_definition_unpack(struct bytes packed, struct account_definition *out)
{
    struct msgpack_reader r = msgpack_reader_of(packed);
    *out = (struct account_definition){0};
    msgpack_expect_array(&r, 5);
    out->path = msgpack_read_str(&r);
    out->asset = msgpack_read_str(&r);
    out->kind = read_enum(&r, ACCOUNT_KIND_ASSET, ACCOUNT_KIND_CLEARING);
    out->normal_side = read_enum(&r, NORMAL_SIDE_NONE, NORMAL_SIDE_CREDIT);
    out->has_min_balance = !msgpack_read_nil(&r);
    if (out->has_min_balance)
        out->min_balance = msgpack_read_int(&r);
    return msgpack_reader_done(&r) ? 0 : EBADMSG;
}
