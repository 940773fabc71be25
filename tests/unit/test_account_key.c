/* Account keys. */
#include "common/account_key.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void assert_key_bytes(struct bytes book, struct bytes path, struct bytes expected)
{
    struct buffer b = {0};
    account_key_append(&b, book, path);
    assert_int_equal(b.len, expected.len);
    assert_memory_equal(b.base, expected.base, expected.len);
    buffer_free(&b);
}

static void assert_key(const char *book, const char *path, const char *expected)
{
    assert_key_bytes(bytes_of_string(book), bytes_of_string(path), bytes_of_string(expected));
}

static void plain_names_are_joined(void **state)
{
    (void)state;
    assert_key("shop", "cash", "shop:cash");
    assert_key("shop", "treasury:usd", "shop:treasury:usd");
    assert_key("", "", ":");
}

static void colons_and_backslashes_of_the_book_are_escaped(void **state)
{
    (void)state;
    assert_key("a:b", "c:d", "a\\:b:c:d");
    assert_key("a\\b", "x/y", "a\\\\b:x/y");
    assert_key("::", "x", "\\:\\::x");
    assert_key("\\:", "x", "\\\\\\::x");
    assert_key("\\", "", "\\\\:");
}

static void path_stands_as_it_is(void **state)
{
    (void)state;
    assert_key("a", ":\\:\\", "a::\\:\\");
    assert_key("a", "..", "a:..");
}

static void books_that_differ_by_where_the_colon_is_differ(void **state)
{
    (void)state;
    assert_key("a", "b:c", "a:b:c");
    assert_key("a:b", "c", "a\\:b:c");
}

static void nul_and_utf8_pass(void **state)
{
    (void)state;
    assert_key_bytes(BYTES_LITERAL("a\0b"), BYTES_LITERAL("\0"), BYTES_LITERAL("a\0b:\0"));
    assert_key("\xc3\xbc", "\xf0\x9f\x92\xb0", "\xc3\xbc:\xf0\x9f\x92\xb0");
    assert_key_bytes((struct bytes){NULL, 0}, (struct bytes){NULL, 0}, BYTES_LITERAL(":"));
}

static void key_goes_behind_what_is_there(void **state)
{
    (void)state;
    struct buffer b = {0};
    buffer_append_string(&b, "account ");
    account_key_append(&b, BYTES_LITERAL("s"), BYTES_LITERAL("c"));
    assert_int_equal(b.len, 11);
    assert_memory_equal(b.base, "account s:c", 11);
    buffer_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_names_are_joined),
        cmocka_unit_test(colons_and_backslashes_of_the_book_are_escaped),
        cmocka_unit_test(path_stands_as_it_is),
        cmocka_unit_test(books_that_differ_by_where_the_colon_is_differ),
        cmocka_unit_test(nul_and_utf8_pass),
        cmocka_unit_test(key_goes_behind_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
