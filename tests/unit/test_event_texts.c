/* The newest events of a book, worded once: what a stream gets of them, and what made room. */
#include "server/event_texts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "common/buffer.h"

#define HALF_A_SHEET (EVENT_SHEET_BYTES / 2 + 1) /* and a little more: no two of them on one */

/* The text of an event here: its seq in seven digits, and strokes. */
static void add(struct event_texts *t, size_t length, size_t bytes_max)
{
    struct buffer text = {0};
    buffer_printf(&text, "%07u|", (unsigned)t->next);
    while (text.len < length)
        buffer_append_string(&text, "|");
    event_texts_take(t, buffer_bytes(&text), bytes_max);
    buffer_free(&text);
}

static struct event_texts with(uint64_t first, int count, size_t length, size_t bytes_max)
{
    struct event_texts t = {.next = 0};
    event_texts_begin(&t, first);
    for (int i = 0; i < count; i++)
        add(&t, length, bytes_max);
    return t;
}

/* What is behind the cursor begins so, and moves it there. "": nothing is. */
static void assert_piece(struct event_texts *t, uint64_t cursor, const char *expected, uint64_t cursor_after)
{
    struct bytes piece = {NULL, 0};
    struct event_sheet *sheet = event_texts_hold(t, &cursor, &piece);
    assert_int_equal(sheet != NULL, *expected != '\0');
    assert_int_equal(cursor, cursor_after);
    assert_true(piece.len >= strlen(expected));
    if (sheet)
        assert_memory_equal(piece.base, expected, strlen(expected));
    event_sheet_release(&sheet);
}

static void test_a_stream_gets_what_is_behind_its_cursor(void **state)
{
    (void)state;
    struct event_texts t = with(5, 3, 0, 1000);
    assert_true(event_texts_reach(&t, 5));
    assert_piece(&t, 5, "0000006|0000007|", 7);
    assert_piece(&t, 7, "", 7);
    add(&t, 0, 1000);
    assert_piece(&t, 7, "0000008|", 8);
    event_texts_free(&t);
}

static void test_a_piece_ends_with_its_sheet(void **state)
{
    (void)state;
    struct event_texts t = with(1, 2, HALF_A_SHEET, SIZE_MAX);
    assert_piece(&t, 0, "0000001|", 1);
    assert_piece(&t, 1, "0000002|", 2);
    event_texts_free(&t);
    t = with(1, EVENT_SHEET_EVENTS + 10, 0, SIZE_MAX);
    assert_piece(&t, 3, "0000004|", EVENT_SHEET_EVENTS);
    assert_piece(&t, EVENT_SHEET_EVENTS, "0000257|", EVENT_SHEET_EVENTS + 10);
    event_texts_free(&t);
}

static void test_the_oldest_make_room_and_are_no_longer_reached(void **state)
{
    (void)state;
    struct event_texts t = with(1, 11, HALF_A_SHEET, 5 * HALF_A_SHEET);
    assert_int_equal(t.next, 12);
    assert_false(event_texts_reach(&t, 5));
    assert_true(event_texts_reach(&t, 6));
    assert_piece(&t, 6, "0000007|", 7);
    assert_piece(&t, 9, "0000010|", 10);
    event_texts_free(&t);
}

static void test_one_that_is_longer_than_a_sheet_and_the_bound_stays_alone(void **state)
{
    (void)state;
    struct event_texts t = with(1, 2, 3 * EVENT_SHEET_BYTES, 10);
    assert_false(event_texts_reach(&t, 0));
    assert_piece(&t, 1, "0000002|", 2);
    add(&t, 3 * EVENT_SHEET_BYTES, 10);
    assert_false(event_texts_reach(&t, 1));
    assert_piece(&t, 2, "0000003|", 3);
    event_texts_free(&t);
}

static void test_a_cursor_ahead_of_them_lacks_nothing(void **state)
{
    (void)state;
    struct event_texts t = with(1, 2, 0, 1000);
    assert_true(event_texts_reach(&t, 40));
    assert_piece(&t, 40, "", 40);
    event_texts_free(&t);
}

static void test_after_a_new_beginning_nothing_older_is_reached(void **state)
{
    (void)state;
    struct event_texts t = with(1, 5, 0, 1000);
    event_texts_begin(&t, 100);
    assert_false(event_texts_reach(&t, 98));
    assert_piece(&t, 99, "", 99);
    add(&t, 0, 1000);
    assert_piece(&t, 99, "0000100|", 100);
    event_texts_free(&t);
}

static void test_what_is_held_stays_as_it_was(void **state)
{
    (void)state;
    struct event_texts t = with(1, 2, 0, 1000);
    uint64_t cursor = 0;
    struct bytes piece;
    struct event_sheet *sheet = event_texts_hold(&t, &cursor, &piece);
    assert_non_null(sheet);
    add(&t, 0, 1000);
    event_texts_free(&t);
    assert_int_equal(piece.len, strlen("0000001|0000002|"));
    assert_memory_equal(piece.base, "0000001|0000002|", piece.len);
    event_sheet_release(&sheet);
    assert_null(sheet);
    event_sheet_release(&sheet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_stream_gets_what_is_behind_its_cursor),
        cmocka_unit_test(test_a_piece_ends_with_its_sheet),
        cmocka_unit_test(test_the_oldest_make_room_and_are_no_longer_reached),
        cmocka_unit_test(test_one_that_is_longer_than_a_sheet_and_the_bound_stays_alone),
        cmocka_unit_test(test_a_cursor_ahead_of_them_lacks_nothing),
        cmocka_unit_test(test_after_a_new_beginning_nothing_older_is_reached),
        cmocka_unit_test(test_what_is_held_stays_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
