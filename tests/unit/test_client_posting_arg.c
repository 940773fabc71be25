/* <account>:<asset>:<minor>, read from the right. */
#include "client/posting_arg.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define assert_slice(slice, length, expected)                                                                \
    do {                                                                                                     \
        assert_int_equal(length, strlen(expected));                                                          \
        assert_memory_equal(slice, expected, length);                                                        \
    } while (0)

static void parse(const char *arg, const char *account, const char *asset, int64_t minor)
{
    struct posting_arg posting;
    assert_int_equal(posting_arg_parse(arg, &posting), 0);
    assert_slice(posting.account, posting.account_len, account);
    assert_slice(posting.asset, posting.asset_len, asset);
    assert_true(posting.minor == minor);
}

static void refuse(const char *arg, int error)
{
    struct posting_arg posting;
    assert_int_equal(posting_arg_parse(arg, &posting), error);
}

static void three_parts_are_account_asset_and_minor(void **state)
{
    (void)state;
    parse("cash:USD:1000", "cash", "USD", 1000);
}

static void the_account_may_hold_colons_since_it_is_read_from_the_right(void **state)
{
    (void)state;
    parse("treasury:btc:BTC:1", "treasury:btc", "BTC", 1);
    parse(":::BTC:1", "::", "BTC", 1);
    parse("a:USD:5:EUR:6", "a:USD:5", "EUR", 6);
}

static void a_sign_and_leading_zeros_are_allowed(void **state)
{
    (void)state;
    parse("a:USD:-5", "a", "USD", -5);
    parse("a:USD:+5", "a", "USD", 5);
    parse("a:USD:007", "a", "USD", 7);
    parse("a:USD:-0", "a", "USD", 0);
}

static void the_whole_range_of_64_bits_is_read_and_nothing_beyond(void **state)
{
    (void)state;
    parse("a:USD:9223372036854775807", "a", "USD", INT64_MAX);
    parse("a:USD:-9223372036854775808", "a", "USD", INT64_MIN);
    refuse("a:USD:9223372036854775808", ERANGE);
    refuse("a:USD:-9223372036854775809", ERANGE);
    refuse("a:USD:99999999999999999999999999", ERANGE);
}

static void minor_units_that_are_no_whole_number_are_refused(void **state)
{
    (void)state;
    static const char *const minors[] = {"a:USD:1.5", "a:USD:one", "a:USD:1e3", "a:USD: 1",  "a:USD:1 ",
                                         "a:USD:-",   "a:USD:+",   "a:USD:--1", "a:USD:0x1", "a:USD:1_000"};
    for (size_t i = 0; i < sizeof minors / sizeof *minors; i++)
        refuse(minors[i], ERANGE);
}

static void a_part_that_is_missing_or_empty_is_refused(void **state)
{
    (void)state;
    static const char *const parts[] = {"", ":", "::", "USD:1", "1", "a:USD:", ":USD:1", "a::1", "::1"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        refuse(parts[i], EINVAL);
}

static void its_json_has_the_amount_as_an_integer_and_names_escaped(void **state)
{
    (void)state;
    struct posting_arg posting;
    struct text out = {0};
    assert_int_equal(posting_arg_parse("a\"\n/b:U\\D:-007", &posting), 0);
    posting_arg_add_json(&out, &posting, "credit");
    assert_string_equal(out.base,
                        "{\"account\":\"a\\\"\\n/b\",\"amount\":{\"minor\":-7,\"asset\":\"U\\\\D\"},"
                        "\"direction\":\"credit\"}");
    text_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_parts_are_account_asset_and_minor),
        cmocka_unit_test(the_account_may_hold_colons_since_it_is_read_from_the_right),
        cmocka_unit_test(a_sign_and_leading_zeros_are_allowed),
        cmocka_unit_test(the_whole_range_of_64_bits_is_read_and_nothing_beyond),
        cmocka_unit_test(minor_units_that_are_no_whole_number_are_refused),
        cmocka_unit_test(a_part_that_is_missing_or_empty_is_refused),
        cmocka_unit_test(its_json_has_the_amount_as_an_integer_and_names_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
