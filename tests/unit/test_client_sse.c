/* The reader of text/event-stream: every case whole, in two pieces cut anywhere, and one byte at a time. */
#include "client/sse.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Events as they were reported: "id|data;" each. */
static bool note_event(void *context, const char *id, struct text *data)
{
    struct text *seen = context;
    text_printf(seen, "%s|", id);
    text_add(seen, data->base, data->len);
    text_add_string(seen, ";");
    return true;
}

static void expect_cut(const char *stream, size_t length, const char *expected, size_t first, size_t step)
{
    struct text seen = {0};
    struct sse_reader reader = {.on_event = note_event, .context = &seen};
    text_add_string(&seen, "");
    assert_int_equal(sse_read(&reader, stream, first), 0);
    for (size_t at = first; at < length; at += step)
        assert_int_equal(sse_read(&reader, stream + at, length - at < step ? length - at : step), 0);
    assert_string_equal(seen.base, expected);
    sse_free(&reader);
    text_free(&seen);
}

static void expect(const char *stream, const char *expected)
{
    size_t length = strlen(stream);
    expect_cut(stream, length, expected, 0, 1);
    for (size_t first = 0; first <= length; first++)
        expect_cut(stream, length, expected, first, length + 1);
}

static void an_event_is_its_id_and_data(void **state)
{
    (void)state;
    expect("id: 1\ndata: {\"seq\":1}\n\nid: 2\ndata: {}\n\n", "1|{\"seq\":1};2|{};");
}

static void crlf_cr_and_lf_end_a_line(void **state)
{
    (void)state;
    expect("id: 1\r\ndata: a\r\n\r\nid: 2\rdata: b\r\rid: 3\ndata: c\r\n\n", "1|a;2|b;3|c;");
}

static void comments_are_passed_over_within_an_event_and_between_events(void **state)
{
    (void)state;
    expect(":\n\n: a comment\n\nid: 1\n: within\ndata: a\n:data: no\n\n:\n\n", "1|a;");
}

static void data_lines_are_joined_with_a_line_feed(void **state)
{
    (void)state;
    expect("id: 1\ndata: a\ndata: b\ndata:\ndata: c\n\n", "1|a\nb\n\nc;");
}

static void one_blank_behind_the_colon_is_not_the_value(void **state)
{
    (void)state;
    expect("id:1\ndata:a\n\nid: 2\ndata:  b\n\nid: 3\ndata: a: b\n\n", "1|a;2| b;3|a: b;");
}

static void an_id_stays_until_another_one_comes(void **state)
{
    (void)state;
    expect("data: a\n\nid: 7\ndata: b\n\ndata: c\n\nid\ndata: d\n\n", "|a;7|b;7|c;|d;");
}

static void an_event_without_data_is_none(void **state)
{
    (void)state;
    expect("id: 1\n\nevent: x\n\n\n\nid: 2\ndata: a\n\n", "2|a;");
    expect("data\n\n", "|;");
}

static void unknown_fields_are_passed_over(void **state)
{
    (void)state;
    expect("retry: 5\nevent: e\ndatax: no\ndat: no\nidx: 3\nid: 1\ndata: a\n\n", "1|a;");
}

static void what_no_empty_line_ends_is_not_an_event(void **state)
{
    (void)state;
    expect("id: 1\ndata: a\n\nid: 2\ndata: b\n", "1|a;");
    expect("id: 2\ndata: b", "");
}

static void an_id_with_a_nul_is_passed_over(void **state)
{
    (void)state;
    static const char stream[] = "id: 1\ndata: a\n\nid: 2\0003\ndata: b\n\n";
    expect_cut(stream, sizeof stream - 1, "1|a;1|b;", 0, 1);
}

static bool refuse_event(void *context, const char *id, struct text *data)
{
    (void)id, (void)data;
    ++*(int *)context;
    return false;
}

static void reading_ends_when_the_caller_says_so(void **state)
{
    (void)state;
    int count = 0;
    struct sse_reader reader = {.on_event = refuse_event, .context = &count};
    static const char stream[] = "data: a\n\ndata: b\n\n";
    assert_int_equal(sse_read(&reader, stream, strlen(stream)), ECANCELED);
    assert_int_equal(count, 1);
    sse_free(&reader);
}

/* Feeds `piece` until the reader refuses it; the bytes taken before. */
static size_t taken_bytes(const char *piece, size_t length)
{
    struct text seen = {0};
    struct sse_reader reader = {.on_event = note_event, .context = &seen};
    size_t taken = 0;
    int error;
    while ((error = sse_read(&reader, piece, length)) == 0 && taken <= 2 * (size_t)SSE_EVENT_MAX_BYTES)
        taken += length;
    assert_int_equal(error, EMSGSIZE);
    sse_free(&reader);
    text_free(&seen);
    return taken;
}

static void an_event_over_the_limit_is_refused_and_not_gathered_for_ever(void **state)
{
    (void)state;
    size_t length = 1 << 20;
    char *piece = malloc(length);
    assert_non_null(piece);
    memset(piece, 'x', length);
    assert_in_range(taken_bytes(piece, length), SSE_EVENT_MAX_BYTES - length, SSE_EVENT_MAX_BYTES);
    memcpy(piece, "data: ", 6);
    piece[length - 1] = '\n';
    assert_in_range(taken_bytes(piece, length), SSE_EVENT_MAX_BYTES - length, SSE_EVENT_MAX_BYTES + length);
    free(piece);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_its_id_and_data),
        cmocka_unit_test(crlf_cr_and_lf_end_a_line),
        cmocka_unit_test(comments_are_passed_over_within_an_event_and_between_events),
        cmocka_unit_test(data_lines_are_joined_with_a_line_feed),
        cmocka_unit_test(one_blank_behind_the_colon_is_not_the_value),
        cmocka_unit_test(an_id_stays_until_another_one_comes),
        cmocka_unit_test(an_event_without_data_is_none),
        cmocka_unit_test(unknown_fields_are_passed_over),
        cmocka_unit_test(what_no_empty_line_ends_is_not_an_event),
        cmocka_unit_test(an_id_with_a_nul_is_passed_over),
        cmocka_unit_test(reading_ends_when_the_caller_says_so),
        cmocka_unit_test(an_event_over_the_limit_is_refused_and_not_gathered_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
