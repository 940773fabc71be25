/* The newest events of a book, worded once: what a stream gets of them, and what made room. */
#include "server/event_texts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define TEXT_BYTES 8 /* of each event here: its seq in seven digits and a stroke */

static void add(struct event_texts *t, size_t bytes_max)
{
    char text[TEXT_BYTES + 1];
    snprintf(text, sizeof text, "%07u|", (unsigned)event_texts_next(t));
    buffer_append_string(&t->text, text);
    event_texts_take(t, bytes_max);
}

static struct event_texts with(uint64_t first, int count, size_t bytes_max)
{
    struct event_texts t = {.first = 0};
    event_texts_begin(&t, first);
    for (int i = 0; i < count; i++)
        add(&t, bytes_max);
    return t;
}

static void assert_piece(struct event_texts *t, uint64_t *cursor, size_t bytes_max, const char *expected)
{
    struct bytes piece = event_texts_behind(t, cursor, bytes_max);
    assert_int_equal(piece.len, strlen(expected));
    if (piece.len)
        assert_memory_equal(piece.base, expected, piece.len);
}

static void test_a_stream_gets_what_is_behind_its_cursor(void **state)
{
    (void)state;
    struct event_texts t = with(5, 3, 1000);
    uint64_t cursor = 5;
    assert_true(event_texts_reach(&t, cursor));
    assert_piece(&t, &cursor, 1000, "0000006|0000007|");
    assert_int_equal(cursor, 7);
    assert_piece(&t, &cursor, 1000, "");
    assert_int_equal(cursor, 7);
    add(&t, 1000);
    assert_piece(&t, &cursor, 1000, "0000008|");
    event_texts_free(&t);
}

static void test_a_piece_ends_with_the_event_that_passes_the_bound(void **state)
{
    (void)state;
    struct event_texts t = with(1, 4, 1000);
    uint64_t cursor = 0;
    assert_piece(&t, &cursor, 1, "0000001|");
    assert_piece(&t, &cursor, TEXT_BYTES + 1, "0000002|0000003|");
    assert_int_equal(cursor, 3);
    event_texts_free(&t);
}

static void test_the_oldest_make_room_and_are_no_longer_reached(void **state)
{
    (void)state;
    struct event_texts t = with(1, 11, 10 * TEXT_BYTES);
    uint64_t cursor = 6;
    assert_int_equal(event_texts_next(&t), 12);
    assert_false(event_texts_reach(&t, 5));
    assert_true(event_texts_reach(&t, 6));
    assert_piece(&t, &cursor, 1000, "0000007|0000008|0000009|0000010|0000011|");
    event_texts_free(&t);
}

static void test_one_that_is_longer_than_the_bound_stays_alone(void **state)
{
    (void)state;
    struct event_texts t = with(1, 2, TEXT_BYTES / 2);
    uint64_t cursor = 1;
    assert_false(event_texts_reach(&t, 0));
    assert_piece(&t, &cursor, 1000, "0000002|");
    add(&t, TEXT_BYTES / 2);
    assert_false(event_texts_reach(&t, 1));
    assert_piece(&t, &cursor, 1000, "0000003|");
    event_texts_free(&t);
}

static void test_a_cursor_ahead_of_them_lacks_nothing(void **state)
{
    (void)state;
    struct event_texts t = with(1, 2, 1000);
    uint64_t cursor = 40;
    assert_true(event_texts_reach(&t, cursor));
    assert_piece(&t, &cursor, 1000, "");
    assert_int_equal(cursor, 40);
    event_texts_free(&t);
}

static void test_after_a_new_beginning_nothing_older_is_reached(void **state)
{
    (void)state;
    struct event_texts t = with(1, 5, 1000);
    event_texts_begin(&t, 100);
    uint64_t cursor = 99;
    assert_false(event_texts_reach(&t, 98));
    assert_piece(&t, &cursor, 1000, "");
    add(&t, 1000);
    assert_piece(&t, &cursor, 1000, "0000100|");
    event_texts_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_stream_gets_what_is_behind_its_cursor),
        cmocka_unit_test(test_a_piece_ends_with_the_event_that_passes_the_bound),
        cmocka_unit_test(test_the_oldest_make_room_and_are_no_longer_reached),
        cmocka_unit_test(test_one_that_is_longer_than_the_bound_stays_alone),
        cmocka_unit_test(test_a_cursor_ahead_of_them_lacks_nothing),
        cmocka_unit_test(test_after_a_new_beginning_nothing_older_is_reached),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
