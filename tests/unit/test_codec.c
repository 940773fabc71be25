/* What crosses the ring and lies in the log: packed, read back, and read from bytes that somebody has spoiled. */
#include "common/event.h"
#include "common/message.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct posting postings[] = {
    {BYTES_LITERAL("cash"), BYTES_LITERAL("USD"), INT64_MAX, DIRECTION_DEBIT},
    {BYTES_LITERAL("sales:\0x"), BYTES_LITERAL("USD"), INT64_MIN, DIRECTION_CREDIT},
    {BYTES_LITERAL(""), BYTES_LITERAL(""), 0, DIRECTION_DEBIT},
};
static const struct external_ref refs[] = {{BYTES_LITERAL("order"), BYTES_LITERAL("77")}};

static struct draft full_draft(void)
{
    return (struct draft){
        .book = BYTES_LITERAL("shop"),
        .idempotency_key = BYTES_LITERAL("key-1"),
        .postings = postings,
        .posting_count = 3,
        .external_refs = refs,
        .external_ref_count = 1,
        .metadata = BYTES_LITERAL("{\"a\": [1, 2]}"),
        .has_occurred_at = true,
        .occurred_at = {.seconds = -62135596800, .nanos = 999999999},
    };
}

static void assert_bytes(struct bytes got, struct bytes expected)
{
    assert_int_equal(got.len, expected.len);
    if (got.len)
        assert_memory_equal(got.base, expected.base, got.len);
}

static void assert_same_draft(const struct draft *a, const struct draft *b)
{
    assert_bytes(a->idempotency_key, b->idempotency_key);
    assert_int_equal(a->posting_count, b->posting_count);
    for (uint32_t i = 0; i < a->posting_count; i++) {
        assert_bytes(a->postings[i].account, b->postings[i].account);
        assert_bytes(a->postings[i].asset, b->postings[i].asset);
        assert_true(a->postings[i].minor == b->postings[i].minor);
        assert_int_equal(a->postings[i].direction, b->postings[i].direction);
    }
    assert_int_equal(a->external_ref_count, b->external_ref_count);
    for (uint32_t i = 0; i < a->external_ref_count; i++) {
        assert_bytes(a->external_refs[i].kind, b->external_refs[i].kind);
        assert_bytes(a->external_refs[i].value, b->external_refs[i].value);
    }
    assert_int_equal(a->metadata.base == NULL, b->metadata.base == NULL);
    assert_bytes(a->metadata, b->metadata);
    assert_int_equal(a->has_occurred_at, b->has_occurred_at);
    if (a->has_occurred_at) {
        assert_true(a->occurred_at.seconds == b->occurred_at.seconds);
        assert_int_equal(a->occurred_at.nanos, b->occurred_at.nanos);
    }
}

static void assert_draft_reads_back(const struct draft *draft)
{
    struct buffer packed = {0};
    struct arena *arena = arena_create();
    struct draft back;
    draft_pack_body(&packed, draft);
    assert_int_equal(draft_unpack_body(buffer_bytes(&packed), arena, &back), 0);
    assert_same_draft(draft, &back);
    arena_destroy(&arena);
    buffer_free(&packed);
}

static void a_draft_reads_back_whole(void **state)
{
    (void)state;
    struct draft draft = full_draft();
    assert_draft_reads_back(&draft);
}

static void what_a_draft_leaves_out_stays_out(void **state)
{
    (void)state;
    struct draft draft = full_draft();
    draft.external_ref_count = 0;
    draft.metadata = bytes_of(NULL, 0);
    draft.has_occurred_at = false;
    assert_draft_reads_back(&draft);
}

/* Reads a copy of exactly `length` bytes, so that a look behind its end is seen by a sanitizer. */
static int unpack_copy(const uint8_t *bytes, size_t length)
{
    uint8_t *copy = malloc(length ? length : 1);
    struct arena *arena = arena_create();
    struct draft draft;
    memcpy(copy, bytes, length);
    int error = draft_unpack_body(bytes_of(copy, length), arena, &draft);
    arena_destroy(&arena);
    free(copy);
    return error;
}

static void a_draft_cut_anywhere_is_refused(void **state)
{
    (void)state;
    struct buffer packed = {0};
    struct draft draft = full_draft();
    draft_pack_body(&packed, &draft);
    for (size_t length = 0; length < packed.len; length++)
        assert_int_equal(unpack_copy(packed.base, length), EBADMSG);
    assert_int_equal(unpack_copy(packed.base, packed.len), 0);
    buffer_append(&packed, "\xc0", 1);
    assert_int_equal(unpack_copy(packed.base, packed.len), EBADMSG);
    buffer_free(&packed);
}

static void a_spoiled_draft_is_read_or_refused_but_never_believed_beyond_its_bytes(void **state)
{
    (void)state;
    struct buffer packed = {0};
    struct draft draft = full_draft();
    unsigned seed = 1;
    draft_pack_body(&packed, &draft);
    for (size_t bit = 0; bit < 8 * packed.len; bit++) {
        packed.base[bit / 8] ^= (uint8_t)(1u << bit % 8);
        int error = unpack_copy(packed.base, packed.len);
        assert_true(error == 0 || error == EBADMSG);
        packed.base[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (int round = 0; round < 20000; round++) {
        uint8_t noise[64];
        for (size_t i = 0; i < sizeof noise; i++)
            noise[i] = (uint8_t)rand_r(&seed);
        noise[0] = 0x95; /* an array of five, so that some of it gets further */
        int error = unpack_copy(noise, (size_t)rand_r(&seed) % sizeof noise);
        assert_true(error == 0 || error == EBADMSG);
    }
    buffer_free(&packed);
}

/* Four thousand million postings claimed in a few bytes: nothing is allocated for them. */
static void a_count_is_held_against_the_bytes_that_are_there(void **state)
{
    (void)state;
    static const uint8_t postings_claimed[] = "\x95\xa1k\xdd\xff\xff\xff\xff";
    static const uint8_t refs_claimed[] = "\x95\xa1k\x90\xdd\xff\xff\xff\xff";
    assert_int_equal(unpack_copy(postings_claimed, sizeof postings_claimed - 1), EBADMSG);
    assert_int_equal(unpack_copy(refs_claimed, sizeof refs_claimed - 1), EBADMSG);
}

static void assets_and_accounts_read_back(void **state)
{
    (void)state;
    struct buffer packed = {0};
    struct asset_definition asset = {BYTES_LITERAL("BTC"), ASSET_CLASS_CRYPTO, true, false, BYTES_LITERAL("bitcoin"),
                                     {NULL, 0}, 255, BYTES_LITERAL("Bitcoin")};
    struct asset_definition asset_back;
    asset_definition_pack(&packed, &asset);
    assert_int_equal(asset_definition_unpack(buffer_bytes(&packed), &asset_back), 0);
    assert_bytes(asset_back.id, asset.id);
    assert_int_equal(asset_back.class, ASSET_CLASS_CRYPTO);
    assert_true(asset_back.has_network && !asset_back.has_native_id);
    assert_bytes(asset_back.network, asset.network);
    assert_int_equal(asset_back.precision, 255);
    assert_bytes(asset_back.name, asset.name);
    for (size_t length = 0; length < packed.len; length++)
        assert_int_equal(asset_definition_unpack(bytes_of(packed.base, length), &asset_back), EBADMSG);

    buffer_clear(&packed);
    struct account_definition account = {
        {NULL, 0}, BYTES_LITERAL("till:1"), BYTES_LITERAL("USD"), ACCOUNT_KIND_EQUITY, NORMAL_SIDE_CREDIT, true, INT64_MIN};
    struct account_definition account_back;
    account_definition_pack(&packed, &account);
    assert_int_equal(account_definition_unpack(buffer_bytes(&packed), &account_back), 0);
    assert_bytes(account_back.path, account.path);
    assert_bytes(account_back.asset, account.asset);
    assert_int_equal(account_back.kind, ACCOUNT_KIND_EQUITY);
    assert_int_equal(account_back.normal_side, NORMAL_SIDE_CREDIT);
    assert_true(account_back.has_min_balance && account_back.min_balance == INT64_MIN);
    for (size_t length = 0; length < packed.len; length++)
        assert_int_equal(account_definition_unpack(bytes_of(packed.base, length), &account_back), EBADMSG);
    buffer_free(&packed);
}

static void events_follow_one_another_in_a_batch(void **state)
{
    (void)state;
    struct buffer body = {0}, payload = {0};
    struct draft draft = full_draft();
    draft_pack_body(&body, &draft);
    for (uint64_t seq = 1; seq <= 3; seq++) {
        struct event event = {.kind = EVENT_TRANSACTION_POSTED, .book = BYTES_LITERAL("shop"), .seq = seq, .at_us = 5,
                              .tx_id = {{(uint8_t)seq}}, .body = buffer_bytes(&body)};
        event_pack(&payload, &event);
    }
    struct bytes rest = buffer_bytes(&payload);
    for (uint64_t seq = 1; seq <= 3; seq++) {
        struct event back;
        size_t length;
        for (size_t cut = 0; cut < rest.len / (4 - seq); cut++)
            assert_int_equal(event_unpack(bytes_of(rest.base, cut), &back, &length), EBADMSG);
        assert_int_equal(event_unpack(rest, &back, &length), 0);
        assert_int_equal(back.kind, EVENT_TRANSACTION_POSTED);
        assert_int_equal(back.seq, seq);
        assert_int_equal(back.tx_id.octets[0], seq);
        assert_bytes(back.book, BYTES_LITERAL("shop"));
        assert_bytes(back.body, buffer_bytes(&body));
        rest = bytes_of(rest.base + length, rest.len - length);
    }
    assert_int_equal(rest.len, 0);
    buffer_free(&body);
    buffer_free(&payload);
}

static void a_submission_carries_its_drafts_in_order(void **state)
{
    (void)state;
    struct buffer message = {0};
    struct arena *arena = arena_create();
    struct draft one = full_draft(), two = full_draft(), back;
    struct submission_head head;
    struct bytes rest, book, packed;
    two.book = BYTES_LITERAL("other");
    submission_begin(&message, SUBMISSION_POST, 2, 11, 3);
    submission_add_draft(&message, &one);
    submission_add_draft(&message, &two);
    assert_int_equal(submission_read_head(buffer_bytes(&message), &head, &rest), 0);
    assert_int_equal(head.kind, SUBMISSION_POST);
    assert_int_equal(head.count, 2);
    assert_int_equal(head.request_id, 11);
    assert_int_equal(head.arbiter_epoch, 3);
    assert_int_equal(submission_read_booked(&rest, &book, &packed), 0);
    assert_bytes(book, one.book);
    assert_int_equal(draft_unpack_body(packed, arena, &back), 0);
    assert_same_draft(&back, &one);
    assert_int_equal(submission_read_booked(&rest, &book, &packed), 0);
    assert_bytes(book, two.book);
    assert_int_equal(rest.len, 0);
    assert_int_equal(submission_read_booked(&rest, &book, &packed), EBADMSG);
    arena_destroy(&arena);
    buffer_free(&message);
}

static void a_submission_too_short_for_its_head_is_refused(void **state)
{
    (void)state;
    struct buffer message = {0};
    struct submission_head head;
    struct bytes rest;
    submission_begin(&message, SUBMISSION_POST, 0, 1, 1);
    for (size_t length = 0; length < sizeof head; length++)
        assert_int_equal(submission_read_head(bytes_of(message.base, length), &head, &rest), EBADMSG);
    buffer_free(&message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_draft_reads_back_whole),
        cmocka_unit_test(what_a_draft_leaves_out_stays_out),
        cmocka_unit_test(a_draft_cut_anywhere_is_refused),
        cmocka_unit_test(a_spoiled_draft_is_read_or_refused_but_never_believed_beyond_its_bytes),
        cmocka_unit_test(a_count_is_held_against_the_bytes_that_are_there),
        cmocka_unit_test(assets_and_accounts_read_back),
        cmocka_unit_test(events_follow_one_another_in_a_batch),
        cmocka_unit_test(a_submission_carries_its_drafts_in_order),
        cmocka_unit_test(a_submission_too_short_for_its_head_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
