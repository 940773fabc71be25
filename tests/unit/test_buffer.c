/* Buffers and arenas. */
#include "common/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/arena.h"
#include "common/exit_status.h"

static void zeroed_buffer_is_empty_and_freeable(void **state)
{
    (void)state;
    struct buffer b = {0};
    assert_int_equal(buffer_bytes(&b).len, 0);
    buffer_clear(&b);
    buffer_free(&b);
    buffer_free(&b);
    assert_null(b.base);
}

static void appended_bytes_come_back_in_order(void **state)
{
    (void)state;
    struct buffer b = {0};
    buffer_append(&b, NULL, 0);
    buffer_append(&b, "a\0b", 3);
    buffer_append_string(&b, "");
    buffer_append_string(&b, "cd");
    assert_int_equal(b.len, 5);
    assert_memory_equal(b.base, "a\0bcd", 5);
    buffer_free(&b);
}

static void growth_keeps_what_was_there(void **state)
{
    (void)state;
    struct buffer b = {0};
    for (uint32_t i = 0; i < 100000; i++)
        buffer_append(&b, &i, sizeof i);
    assert_int_equal(b.len, 400000);
    for (uint32_t i = 0; i < 100000; i++)
        assert_memory_equal(b.base + i * sizeof i, &i, sizeof i);
    buffer_free(&b);
}

static void reserved_room_is_writable_and_not_counted(void **state)
{
    (void)state;
    struct buffer b = {0};
    buffer_append_string(&b, "x");
    uint8_t *room = buffer_reserve(&b, 70000);
    memset(room, 'y', 70000);
    assert_int_equal(b.len, 1);
    assert_ptr_equal(room, b.base + 1);
    assert_ptr_equal(room, buffer_reserve(&b, 70000));
    buffer_free(&b);
}

static void reserving_nothing_still_gives_an_address(void **state)
{
    (void)state;
    struct buffer b = {0};
    assert_non_null(buffer_reserve(&b, 0));
    buffer_free(&b);
}

static void clear_keeps_the_memory(void **state)
{
    (void)state;
    struct buffer b = {0};
    buffer_append_string(&b, "something");
    uint8_t *base = b.base;
    buffer_clear(&b);
    buffer_append_string(&b, "else");
    assert_ptr_equal(b.base, base);
    assert_int_equal(b.len, 4);
    buffer_free(&b);
}

static void printf_appends_whatever_its_length(void **state)
{
    (void)state;
    char wide[1025];
    for (int length = 0; length <= 1024; length++) {
        struct buffer b = {0};
        memset(wide, 'w', (size_t)length);
        wide[length] = '\0';
        buffer_append_string(&b, "<");
        buffer_printf(&b, "%s%d", wide, 7);
        buffer_append_string(&b, ">");
        assert_int_equal(b.len, length + 3);
        assert_memory_equal(b.base + 1, wide, (size_t)length);
        assert_memory_equal(b.base + 1 + length, "7>", 2);
        buffer_free(&b);
    }
}

static void printf_into_a_zeroed_buffer_works(void **state)
{
    (void)state;
    struct buffer b = {0};
    buffer_printf(&b, "%s", "");
    assert_int_equal(b.len, 0);
    buffer_printf(&b, "%03d", 5);
    assert_memory_equal(b.base, "005", 3);
    buffer_free(&b);
}

static void msgpack_callback_appends_and_says_success(void **state)
{
    (void)state;
    struct buffer b = {0};
    assert_int_equal(buffer_msgpack_write(&b, "\xc0", 1), 0);
    assert_int_equal(buffer_msgpack_write(&b, "\xc3", 1), 0);
    assert_memory_equal(b.base, "\xc0\xc3", 2);
    assert_int_equal(b.len, 2);
    buffer_free(&b);
}

/* The exit status of a child that runs `what`; its last words are not shown. */
static int status_of_child(void (*what)(void))
{
    pid_t child = fork();
    if (child == 0) {
        close(STDERR_FILENO);
        what();
        _exit(EXIT_STATUS_OK);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void reserve_more_than_there_is(void)
{
    struct buffer b = {0};
    buffer_append_string(&b, "x");
    buffer_reserve(&b, SIZE_MAX);
}

static void *arena_kept; /* so that nothing is optimised away */

static void allocate_more_than_there_is(void)
{
    volatile size_t n = SIZE_MAX; /* unknown to the compiler, which refuses such a constant */
    arena_kept = arena_alloc(arena_create(), n);
}

static void lengths_that_wrap_around_end_the_process(void **state)
{
    (void)state;
    assert_int_equal(status_of_child(reserve_more_than_there_is), EXIT_STATUS_NO_MEMORY);
    assert_int_equal(status_of_child(allocate_more_than_there_is), EXIT_STATUS_NO_MEMORY);
}

static void arena_pieces_are_aligned_and_apart(void **state)
{
    (void)state;
    enum { COUNT = 2000 };
    static uint8_t *pieces[COUNT];
    struct arena *a = arena_create();
    for (size_t i = 0; i < COUNT; i++) {
        pieces[i] = arena_alloc(a, i);
        assert_int_equal((uintptr_t)pieces[i] % 16, 0);
        memset(pieces[i], (int)(i & 0xff), i);
    }
    for (size_t i = 0; i < COUNT; i++)
        for (size_t j = 0; j < i; j++)
            assert_int_equal(pieces[i][j], i & 0xff);
    arena_destroy(&a);
    assert_null(a);
    arena_destroy(&a);
}

static void arena_takes_pieces_greater_than_its_chunks(void **state)
{
    (void)state;
    struct arena *a = arena_create();
    uint8_t *small = arena_copy(a, "small", 5);
    size_t great = 5u << 20;
    uint8_t *piece = arena_alloc(a, great);
    memset(piece, 1, great);
    uint8_t *later = arena_copy(a, "later", 5);
    assert_memory_equal(small, "small", 5);
    assert_memory_equal(later, "later", 5);
    assert_int_equal(piece[great - 1], 1);
    arena_destroy(&a);
}

static void arena_reset_reuses_its_memory(void **state)
{
    (void)state;
    struct arena *a = arena_create();
    void *first = arena_alloc(a, 100);
    arena_alloc(a, 100000);
    void *third = arena_alloc(a, 3000000);
    memset(third, 1, 3000000);
    for (int round = 0; round < 5; round++) {
        arena_reset(a);
        assert_ptr_equal(arena_alloc(a, 100), first);
        arena_alloc(a, 100000);
        assert_ptr_equal(arena_alloc(a, 3000000), third);
    }
    arena_destroy(&a);
}

static void arena_reset_of_a_new_one_is_fine(void **state)
{
    (void)state;
    struct arena *a = arena_create();
    arena_reset(a);
    assert_non_null(arena_alloc(a, 0));
    arena_destroy(&a);
}

/* After a reset the next chunk may be too small for what comes first. */
static void arena_survives_another_order_of_sizes(void **state)
{
    (void)state;
    struct arena *a = arena_create();
    uint32_t random = 1;
    for (int round = 0; round < 50; round++) {
        uint8_t *previous = NULL;
        for (int i = 0; i < 40; i++) {
            random = random * 1664525 + 1013904223;
            size_t n = 1 + (random >> 8) % (round % 2 ? 300 : 60000);
            uint8_t *piece = arena_alloc(a, n);
            memset(piece, i, n);
            if (previous)
                assert_int_equal(*previous, i - 1);
            previous = piece;
        }
        arena_reset(a);
    }
    arena_destroy(&a);
}

static void arena_copy_of_nothing_is_an_address(void **state)
{
    (void)state;
    struct arena *a = arena_create();
    assert_non_null(arena_copy(a, NULL, 0));
    uint8_t bytes[] = {0, 1, 2, 0};
    uint8_t *copy = arena_copy(a, bytes, sizeof bytes);
    bytes[0] = 9;
    assert_memory_equal(copy, "\0\1\2\0", 4);
    arena_destroy(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zeroed_buffer_is_empty_and_freeable),
        cmocka_unit_test(appended_bytes_come_back_in_order),
        cmocka_unit_test(growth_keeps_what_was_there),
        cmocka_unit_test(reserved_room_is_writable_and_not_counted),
        cmocka_unit_test(reserving_nothing_still_gives_an_address),
        cmocka_unit_test(clear_keeps_the_memory),
        cmocka_unit_test(printf_appends_whatever_its_length),
        cmocka_unit_test(printf_into_a_zeroed_buffer_works),
        cmocka_unit_test(msgpack_callback_appends_and_says_success),
        cmocka_unit_test(lengths_that_wrap_around_end_the_process),
        cmocka_unit_test(arena_pieces_are_aligned_and_apart),
        cmocka_unit_test(arena_takes_pieces_greater_than_its_chunks),
        cmocka_unit_test(arena_reset_reuses_its_memory),
        cmocka_unit_test(arena_reset_of_a_new_one_is_fine),
        cmocka_unit_test(arena_survives_another_order_of_sizes),
        cmocka_unit_test(arena_copy_of_nothing_is_an_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
