/*
 * Request bodies. The first octet says what is read: a draft, a batch, an asset or an account.
 *
 * What is taken: its names are UTF-8, its metadata is a slice of the body, it packs and unpacks to the same, and
 * written as JSON anew it is taken again as the same. What is refused: a field and a reason of one line.
 */
#include <errno.h>
#include <stdlib.h>

#include <unistr.h>

#include "common/event.h"
#include "common/ledger.h"
#include "server/draft_json.h"
#include "server/event_json.h"
#include "server/ledger_json.h"
#include "tests/fuzz/fuzz.h"

#define BATCH_MAX 5

static struct arena *arena, *other, *scratch;
static struct buffer text, packed, packed_again;

static void check_refusal(const struct body_error *error)
{
    FUZZ_HOLDS(error->field && fuzz_is_one_line(error->field));
    FUZZ_HOLDS(memchr(error->reason, '\0', sizeof error->reason));
    FUZZ_HOLDS(error->reason[0] && !u8_check((const uint8_t *)error->reason, strlen(error->reason)));
}

static void check_name(struct bytes name)
{
    FUZZ_HOLDS(name.len == 0 || (name.base && !u8_check(name.base, name.len)));
}

static void check_names(const struct draft *draft)
{
    check_name(draft->book);
    check_name(draft->idempotency_key);
    for (uint32_t i = 0; i < draft->posting_count; i++) {
        check_name(draft->postings[i].account);
        check_name(draft->postings[i].asset);
        FUZZ_HOLDS(direction_word(draft->postings[i].direction));
    }
    for (uint32_t i = 0; i < draft->external_ref_count; i++) {
        check_name(draft->external_refs[i].kind);
        check_name(draft->external_refs[i].value);
    }
    FUZZ_HOLDS(!draft->has_occurred_at || timestamp_is_valid(draft->occurred_at));
}

static void pack(const struct draft *draft, struct buffer *out)
{
    buffer_clear(out);
    draft_pack_body(out, draft);
}

static void write_postings(struct json_text *j, const struct draft *draft)
{
    json_key(j, "postings");
    json_open_array(j);
    for (uint32_t i = 0; i < draft->posting_count; i++) {
        json_open_object(j);
        json_field(j, "account", draft->postings[i].account);
        json_amount(j, draft->postings[i].minor, draft->postings[i].asset);
        json_field(j, "direction", bytes_of_string(direction_word(draft->postings[i].direction)));
        json_close_object(j);
    }
    json_close_array(j);
}

static void write_draft(struct json_text *j, const struct draft *draft)
{
    json_open_object(j);
    json_field(j, "book", draft->book);
    json_field(j, "idempotency_key", draft->idempotency_key);
    write_postings(j, draft);
    json_external_refs(j, draft);
    json_metadata(j, draft);
    if (draft->has_occurred_at) {
        char when[RFC3339_TEXT_MAX];
        int n = rfc3339_format(draft->occurred_at, when);
        json_field(j, "occurred_at", bytes_of(when, (size_t)n));
    }
    json_close_object(j);
}

/* What is written keeps metadata but for its lines' ends, which become spaces: an event is one line. */
static struct draft in_one_line(const struct draft *draft)
{
    struct draft out = *draft;
    if (!draft->metadata.base)
        return out;
    uint8_t *copy = arena_copy(scratch, draft->metadata.base, draft->metadata.len);
    for (size_t i = 0; i < draft->metadata.len; i++)
        if (copy[i] == '\n' || copy[i] == '\r')
            copy[i] = ' ';
    out.metadata.base = copy;
    return out;
}

static void check_written_anew(const struct draft *draft)
{
    struct draft again, expected = in_one_line(draft);
    struct body_error error;
    pack(&expected, &packed);
    buffer_clear(&text);
    struct json_text *j = json_text_create(&text);
    write_draft(j, draft);
    json_text_destroy(&j);
    arena_reset(other);
    FUZZ_HOLDS(draft_json_read(buffer_bytes(&text), other, &again, &error) == 0);
    pack(&again, &packed_again);
    FUZZ_HOLDS(bytes_equal(again.book, draft->book));
    FUZZ_HOLDS(bytes_equal(buffer_bytes(&packed_again), buffer_bytes(&packed)));
}

/* As the event that it would become: what a stream says must be JSON without a line's end. */
static void check_event(const struct draft *draft)
{
    struct event event = {
        .kind = EVENT_TRANSACTION_POSTED, .book = draft->book, .seq = 1, .body = buffer_bytes(&packed)};
    buffer_clear(&text);
    struct json_text *j = json_text_create(&text);
    FUZZ_HOLDS(event_json(j, &event, scratch) == 0);
    json_text_destroy(&j);
    FUZZ_HOLDS(!u8_check(text.base, text.len));
    bool one_line = !memchr(text.base, '\n', text.len) && !memchr(text.base, '\r', text.len);
    FUZZ_HOLDS(one_line);
}

static void check_draft(struct bytes body, const struct draft *draft)
{
    struct draft unpacked;
    struct verdict verdict;
    check_names(draft);
    FUZZ_HOLDS(!draft->metadata.base || (draft->metadata.len > 0 && draft->metadata.base >= body.base &&
                                         draft->metadata.base + draft->metadata.len <= body.base + body.len));
    pack(draft, &packed);
    FUZZ_HOLDS(draft_packed_posting_count(buffer_bytes(&packed)) == draft->posting_count);
    arena_reset(other);
    FUZZ_HOLDS(draft_unpack_body(buffer_bytes(&packed), other, &unpacked) == 0);
    pack(&unpacked, &packed_again);
    FUZZ_HOLDS(bytes_equal(buffer_bytes(&packed), buffer_bytes(&packed_again)));
    ledger_check_draft(draft, scratch, &verdict);
    FUZZ_HOLDS(verdict.code >= VERDICT_POSTED && verdict.code < VERDICT_CODE_COUNT);
    check_event(draft);
    check_written_anew(draft);
}

static void run_draft(struct bytes body)
{
    struct draft draft;
    struct body_error error = {0};
    int failed = draft_json_read(body, arena, &draft, &error);
    FUZZ_HOLDS(failed == 0 || failed == EINVAL);
    if (failed)
        check_refusal(&error);
    else
        check_draft(body, &draft);
}

static void run_batch(struct bytes body)
{
    struct draft *drafts = NULL;
    uint32_t count = UINT32_MAX;
    struct body_error error = {0};
    if (draft_json_read_batch(body, BATCH_MAX, arena, &drafts, &count, &error) != 0) {
        check_refusal(&error);
        FUZZ_HOLDS(!drafts && count == UINT32_MAX);
        return;
    }
    FUZZ_HOLDS(count <= BATCH_MAX);
    for (uint32_t i = 0; i < count; i++)
        check_draft(body, &drafts[i]);
}

static void run_asset(struct bytes body)
{
    struct asset_definition asset, again;
    struct verdict verdict;
    struct body_error error = {0};
    if (asset_json_read(body, arena, &asset, &error) != 0) {
        check_refusal(&error);
        return;
    }
    check_name(asset.id);
    check_name(asset.name);
    buffer_clear(&packed);
    asset_definition_pack(&packed, &asset);
    FUZZ_HOLDS(asset_definition_unpack(buffer_bytes(&packed), &again) == 0);
    FUZZ_HOLDS(again.class == asset.class && again.precision == asset.precision);
    FUZZ_HOLDS(bytes_equal(again.id, asset.id) && bytes_equal(again.name, asset.name));
    FUZZ_HOLDS(again.has_network == asset.has_network && bytes_equal(again.network, asset.network));
    FUZZ_HOLDS(again.has_native_id == asset.has_native_id && bytes_equal(again.native_id, asset.native_id));
    ledger_check_asset(&asset, &verdict);
    FUZZ_HOLDS(verdict.code == VERDICT_DONE || verdict.code == VERDICT_INVALID_DRAFT);
}

static void run_account(struct bytes body)
{
    struct account_definition account, again;
    struct verdict verdict;
    struct body_error error = {0};
    if (account_json_read(body, arena, &account, &error) != 0) {
        check_refusal(&error);
        return;
    }
    check_name(account.book);
    check_name(account.path);
    FUZZ_HOLDS(account_kind_word(account.kind));
    buffer_clear(&packed);
    account_definition_pack(&packed, &account);
    FUZZ_HOLDS(account_definition_unpack(buffer_bytes(&packed), &again) == 0);
    FUZZ_HOLDS(again.kind == account.kind && again.normal_side == account.normal_side);
    FUZZ_HOLDS(bytes_equal(again.path, account.path) && bytes_equal(again.asset, account.asset));
    FUZZ_HOLDS(again.has_min_balance == account.has_min_balance);
    FUZZ_HOLDS(!account.has_min_balance || again.min_balance == account.min_balance);
    ledger_check_account(&account, &verdict);
    FUZZ_HOLDS(verdict.code == VERDICT_DONE || verdict.code == VERDICT_INVALID_DRAFT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const runs[])(struct bytes body) = {run_draft, run_batch, run_asset, run_account};
    if (size == 0)
        return 0;
    uint8_t *body = fuzz_copy(bytes_of(data + 1, size - 1));
    arena = arena_create();
    other = arena_create();
    scratch = arena_create();
    runs[data[0] % 4](bytes_of(body, size - 1));
    arena_destroy(&arena);
    arena_destroy(&other);
    arena_destroy(&scratch);
    buffer_free(&text);
    buffer_free(&packed);
    buffer_free(&packed_again);
    free(body);
    return 0;
}
