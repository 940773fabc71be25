/* Bodies: what is no strict JSON, or has not its shape, is refused and its place named. */
#include "server/draft_json.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define POSTINGS "\"postings\":[{\"account\":\"a\",\"amount\":{\"minor\":5,\"asset\":\"USD\"},\"direction\":\"debit\"}]"
#define NAMES "\"book\":\"b\",\"idempotency_key\":\"k\""
#define DRAFT "{" NAMES "," POSTINGS "}"
#define WITH(value) ("{\"a\":" value "," NAMES "," POSTINGS "}")

static struct arena *arena;
static struct draft draft;
static struct body_error error;

static int make_arena(void **state)
{
    (void)state;
    arena = arena_create();
    return 0;
}

static int drop_arena(void **state)
{
    (void)state;
    arena_destroy(&arena);
    return 0;
}

static int read_draft(const char *text)
{
    memset(&error, 0, sizeof error);
    arena_reset(arena);
    return draft_json_read(bytes_of_string(text), arena, &draft, &error);
}

static void assert_refused(const char *text, const char *reason)
{
    assert_int_equal(read_draft(text), EINVAL);
    assert_string_equal(error.field, "body");
    if (strncmp(error.reason, reason, strlen(reason)) != 0)
        fail_msg("%s: got \"%s\", want \"%s\"", text, error.reason, reason);
}

static void assert_text(struct bytes got, const char *expected)
{
    assert_int_equal(got.len, strlen(expected));
    if (got.len)
        assert_memory_equal(got.base, expected, got.len);
}

static void a_draft_is_read_whole(void **state)
{
    (void)state;
    assert_int_equal(read_draft("{\"occurred_at\":\"2026-01-02T03:04:05.5Z\", \"x\":[{}], \"metadata\" : { \"a\": [1 ,2]} ,"
                                "\"external_refs\":[{\"kind\":\"o\",\"value\":\"1\"},{\"value\":\"2\",\"kind\":\"p\"}],"
                                "\"book\":\"\\u00e9\\n\",\"idempotency_key\":\"k\",\"postings\":["
                                "{\"account\":\"a\",\"amount\":{\"minor\":-5,\"asset\":\"USD\"},\"direction\":\"debit\"},"
                                "{\"direction\":\"credit\",\"account\":\"b\",\"amount\":{\"asset\":\"EUR\",\"minor\":7}}]}"),
                     0);
    assert_text(draft.book, "\u00e9\n");
    assert_text(draft.idempotency_key, "k");
    assert_text(draft.metadata, "{ \"a\": [1 ,2]}");
    assert_true(draft.has_occurred_at && draft.occurred_at.nanos == 500000000);
    assert_int_equal(draft.posting_count, 2);
    assert_text(draft.postings[0].account, "a");
    assert_true(draft.postings[0].minor == -5 && draft.postings[0].direction == DIRECTION_DEBIT);
    assert_text(draft.postings[1].asset, "EUR");
    assert_true(draft.postings[1].minor == 7 && draft.postings[1].direction == DIRECTION_CREDIT);
    assert_int_equal(draft.external_ref_count, 2);
    assert_text(draft.external_refs[1].kind, "p");
}

static void what_may_be_left_out_may_be_null(void **state)
{
    (void)state;
    assert_int_equal(read_draft("{" NAMES "," POSTINGS ",\"metadata\":null,\"occurred_at\":null}"), 0);
    assert_null(draft.metadata.base);
    assert_false(draft.has_occurred_at);
    assert_refused("{" NAMES "," POSTINGS ",\"external_refs\":null}", "external_refs: expected an array, at byte ");
    assert_refused("{\"book\":null}", "book: expected a string, at byte 12");
}

static void metadata_may_be_any_value(void **state)
{
    (void)state;
    static const char *const values[] = {"1e400", "\"s\"", "true", "[]", "{}", "[null]", "-0.10", "{\"a\":{\"a\":1}}"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char text[400];
        snprintf(text, sizeof text, "{\"metadata\" :\t%s ,%s,%s}", values[i], NAMES, POSTINGS);
        assert_int_equal(read_draft(text), 0);
        assert_text(draft.metadata, values[i]);
        snprintf(text, sizeof text, "{%s,%s,\"metadata\":%s}", NAMES, POSTINGS, values[i]);
        assert_int_equal(read_draft(text), 0);
        assert_text(draft.metadata, values[i]);
    }
}

static void what_is_no_strict_json_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        (DRAFT " x"), (DRAFT "{}"), ("\xef\xbb\xbf" DRAFT), ("// c\n" DRAFT), ("/* c */" DRAFT), ("\v" DRAFT), (DRAFT "\f"),
        ("{" NAMES "," POSTINGS ",}"), "{'book':1}", WITH("01"), WITH("+1"), WITH(".5"), WITH("NaN"), WITH("\"\\x\""),
        WITH("\"\t\""), WITH("\"\\ud800\""), WITH("\"\\udc00\\ud800\""), WITH("\"\xc0\xaf\""),
        WITH("\"\xed\xa0\x80\""), WITH("\"\xff\""), "", " ", "{", "[", "{\"book\"", ("{" NAMES),
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (read_draft(wrong[i]) != EINVAL)
            fail_msg("taken: %s", wrong[i]);
    assert_int_equal(read_draft(DRAFT), 0);
    assert_int_equal(read_draft(" \r\n\t" DRAFT "\n"), 0);
    assert_int_equal(read_draft(WITH("\"\\ud83d\\ude00\"")), 0);
}

static void another_kind_of_document_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"1", "-", "12 ", "\"s\"", "true", "null", "[]", "[{}]"};
    struct draft *drafts;
    uint32_t count;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(read_draft(wrong[i]), EINVAL);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(draft_json_read_batch(bytes_of_string(wrong[i]), 5, arena, &drafts, &count, &error), EINVAL);
    assert_int_equal(draft_json_read_batch(BYTES_LITERAL(DRAFT), 5, arena, &drafts, &count, &error), EINVAL);
}

static void a_refusal_names_the_place(void **state)
{
    (void)state;
    assert_refused("{\"book\":1}", "book: expected a string, at byte 9");
    assert_refused("{" NAMES ",\"postings\":[{\"account\":\"a\"}]}", "postings[0].amount: is missing, at byte ");
    assert_refused("{" NAMES ",\"postings\":[{\"amount\":{\"minor\":1.0}}]}",
                   "postings[0].amount.minor: expected an integer in the 64-bit range, at byte ");
    assert_refused("{" NAMES ",\"postings\":[{\"amount\":{\"minor\":9223372036854775808}}]}", "postings[0].amount.minor: ");
    assert_refused("{" NAMES ",\"postings\":[{\"amount\":{\"minor\":\"1\"}}]}", "postings[0].amount.minor: ");
    assert_refused("{" NAMES ",\"postings\":[{\"direction\":\"Debit\"}]}",
                   "postings[0].direction: expected \"debit\" or \"credit\", at byte ");
    assert_refused("{" NAMES ",\"postings\":[1]}", "postings[0]: expected an object, at byte ");
    assert_refused("{" NAMES ",\"postings\":{}}", "postings: expected an array, at byte ");
    assert_refused("{\"book\":\"b\",\"book\":\"b\"}", "book: is given twice, at byte ");
    assert_refused("{\"book\":\"b\"}", "idempotency_key: is missing, at byte ");
    assert_refused("{\"occurred_at\":\"yesterday\"}", "occurred_at: expected an RFC 3339 date-time or null, at byte ");
    assert_refused("", "the body is empty, at byte 0");
}

static void nesting_is_counted_everywhere(void **state)
{
    (void)state;
    char text[2000];
    for (int depth = 126; depth <= 127; depth++) { /* within the draft's own object */
        size_t n = (size_t)snprintf(text, sizeof text, "{%s,%s,\"metadata\":", NAMES, POSTINGS);
        memset(text + n, '[', (size_t)depth);
        memset(text + n + depth, ']', (size_t)depth);
        strcpy(text + n + 2 * depth, "}");
        assert_int_equal(read_draft(text), depth == 126 ? 0 : EINVAL);
    }
}

static void a_batch_is_an_array_of_drafts_up_to_its_cap(void **state)
{
    (void)state;
    struct draft *drafts;
    uint32_t count;
    assert_int_equal(draft_json_read_batch(BYTES_LITERAL("[]"), 2, arena, &drafts, &count, &error), 0);
    assert_int_equal(count, 0);
    assert_int_equal(draft_json_read_batch(BYTES_LITERAL("[" DRAFT "," DRAFT "]"), 2, arena, &drafts, &count, &error), 0);
    assert_int_equal(count, 2);
    assert_text(drafts[1].book, "b");
    assert_int_equal(draft_json_read_batch(BYTES_LITERAL("[" DRAFT "," DRAFT ",1]"), 2, arena, &drafts, &count, &error), EINVAL);
    assert_string_equal(error.reason, "batch length 3 exceeds cap 2 (TALEA_HTTP_BATCH_MAX)");
    assert_int_equal(draft_json_read_batch(BYTES_LITERAL("[" DRAFT "," DRAFT ",1"), 2, arena, &drafts, &count, &error), EINVAL);
    assert_true(strncmp(error.reason, "not JSON", 8) == 0);
}

static void many_postings_are_all_kept(void **state)
{
    (void)state;
    enum { N = 1000 };
    char *text = malloc(N * 120), *end = text;
    end += sprintf(end, "{%s,\"postings\":[", NAMES);
    for (int i = 0; i < N; i++)
        end += sprintf(end, "%s{\"account\":\"a%d\",\"amount\":{\"minor\":%d,\"asset\":\"USD\"},\"direction\":\"debit\"}", i ? "," : "",
                       i, i);
    strcpy(end, "]}");
    assert_int_equal(read_draft(text), 0);
    assert_int_equal(draft.posting_count, N);
    for (int i = 0; i < N; i++)
        assert_true(draft.postings[i].minor == i);
    free(text);
}

static void an_unknown_class_or_kind_is_reported_by_its_name_once_all_else_is_right(void **state)
{
    (void)state;
    struct asset_definition asset;
    struct account_definition account;
    assert_int_equal(asset_json_read(BYTES_LITERAL("{\"id\":\"U\",\"class\":\"metal\",\"precision\":2,\"name\":\"\"}"), arena, &asset, &error), EINVAL);
    assert_string_equal(error.field, "class");
    assert_string_equal(error.reason, "unknown asset class 'metal'");
    assert_int_equal(asset_json_read(BYTES_LITERAL("{\"id\":\"U\",\"class\":\"metal\",\"precision\":256,\"name\":\"\"}"), arena, &asset, &error), EINVAL);
    assert_string_equal(error.field, "body");
    assert_int_equal(account_json_read(BYTES_LITERAL("{\"book\":\"b\",\"path\":\"p\",\"asset\":\"U\",\"kind\":\"Asset\"}"), arena, &account, &error), EINVAL);
    assert_string_equal(error.field, "kind");
    assert_string_equal(error.reason, "unknown account kind 'Asset'");
    assert_int_equal(account_json_read(BYTES_LITERAL("{\"book\":\"b\",\"path\":\"p\",\"asset\":\"U\",\"kind\":\"asset\",\"normal_side\":null,\"min_balance\":-9223372036854775808}"), arena, &account, &error), 0);
    assert_true(account.kind == ACCOUNT_KIND_ASSET && account.normal_side == NORMAL_SIDE_NONE);
    assert_true(account.has_min_balance && account.min_balance == INT64_MIN);
}

/* Bytes turned over, cut out and put in: an answer each time, and under a sanitizer no look beside the body. */
static void spoiled_bodies_are_answered(void **state)
{
    (void)state;
    static const char whole[] = "[" DRAFT ",{\"metadata\":{\"a\":[\"\\ud83d\\ude00\",1e5]},\"external_refs\":[{\"kind\":\"o\","
                                "\"value\":\"1\"}],\"occurred_at\":\"2026-01-02T03:04:05Z\"," NAMES "," POSTINGS "}]";
    static const char bits[] = "{}[]\",:\\u0d8-1.e \xc3\xff\x00n";
    unsigned seed = 1;
    for (int round = 0; round < 30000; round++) {
        size_t length = sizeof whole - 1;
        char *text = malloc(length);
        struct draft *drafts;
        uint32_t count;
        memcpy(text, whole, length);
        for (int n = rand_r(&seed) % 4; n >= 0; n--)
            text[(size_t)rand_r(&seed) % length] = bits[(size_t)rand_r(&seed) % (sizeof bits - 1)];
        if (rand_r(&seed) % 4 == 0)
            length = (size_t)rand_r(&seed) % length;
        text = realloc(text, length ? length : 1);
        arena_reset(arena);
        error.reason[0] = '\0';
        if (draft_json_read_batch(bytes_of(text, length), 5, arena, &drafts, &count, &error) != 0)
            assert_true(error.reason[0] != '\0');
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_draft_is_read_whole),
        cmocka_unit_test(what_may_be_left_out_may_be_null),
        cmocka_unit_test(metadata_may_be_any_value),
        cmocka_unit_test(what_is_no_strict_json_is_refused),
        cmocka_unit_test(another_kind_of_document_is_refused),
        cmocka_unit_test(a_refusal_names_the_place),
        cmocka_unit_test(nesting_is_counted_everywhere),
        cmocka_unit_test(a_batch_is_an_array_of_drafts_up_to_its_cap),
        cmocka_unit_test(many_postings_are_all_kept),
        cmocka_unit_test(an_unknown_class_or_kind_is_reported_by_its_name_once_all_else_is_right),
        cmocka_unit_test(spoiled_bodies_are_answered),
    };
    return cmocka_run_group_tests(tests, make_arena, drop_arena);
}
