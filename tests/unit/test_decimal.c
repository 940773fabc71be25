/* Decimal text of minor units. */
#include "common/decimal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define I128_MAX ((i128)(((u128)1 << 127) - 1))
#define I128_MIN (-I128_MAX - 1)

static void assert_decimal(i128 minor, uint8_t precision, const char *expected)
{
    char text[DECIMAL_TEXT_MAX];
    memset(text, '#', sizeof text);
    int length = decimal_format(minor, precision, text);
    assert_string_equal(text, expected);
    assert_int_equal(length, strlen(expected));
}

static void precision_zero_has_no_point(void **state)
{
    (void)state;
    assert_decimal(0, 0, "0");
    assert_decimal(7, 0, "7");
    assert_decimal(-7, 0, "-7");
    assert_decimal(1000, 0, "1000");
}

static void amounts_have_exactly_precision_decimals(void **state)
{
    (void)state;
    assert_decimal(0, 2, "0.00");
    assert_decimal(5, 2, "0.05");
    assert_decimal(-5, 2, "-0.05");
    assert_decimal(50, 2, "0.50");
    assert_decimal(99, 2, "0.99");
    assert_decimal(100, 2, "1.00");
    assert_decimal(-100, 2, "-1.00");
    assert_decimal(100000, 2, "1000.00");
    assert_decimal(1, 1, "0.1");
    assert_decimal(10, 1, "1.0");
    assert_decimal(123456789, 8, "1.23456789");
    assert_decimal(12345678, 8, "0.12345678");
    assert_decimal(-1, 8, "-0.00000001");
}

static void bounds_of_64_bits_are_exact(void **state)
{
    (void)state;
    assert_decimal(INT64_MAX, 0, "9223372036854775807");
    assert_decimal(INT64_MIN, 0, "-9223372036854775808");
    assert_decimal(INT64_MIN, 2, "-92233720368547758.08");
    assert_decimal((i128)INT64_MAX + 1, 18, "9.223372036854775808");
    assert_decimal((i128)UINT64_MAX, 19, "1.8446744073709551615");
    assert_decimal((i128)UINT64_MAX, 20, "0.18446744073709551615");
}

static void bounds_of_128_bits_are_exact(void **state)
{
    (void)state;
    assert_decimal(I128_MAX, 0, "170141183460469231731687303715884105727");
    assert_decimal(I128_MIN, 0, "-170141183460469231731687303715884105728");
    assert_decimal(I128_MIN, 38, "-1.70141183460469231731687303715884105728");
    assert_decimal(I128_MIN, 39, "-0.170141183460469231731687303715884105728");
    assert_decimal(I128_MIN, 40, "-0.0170141183460469231731687303715884105728");
    assert_decimal(I128_MAX, 2, "1701411834604692317316873037158841057.27");
}

static void greatest_precision_fits(void **state)
{
    (void)state;
    char expected[DECIMAL_TEXT_MAX];
    snprintf(expected, sizeof expected, "0.%0255d", 0);
    assert_decimal(0, 255, expected);
    snprintf(expected, sizeof expected, "-0.%0254d1", 0);
    assert_decimal(-1, 255, expected);
    snprintf(expected, sizeof expected, "-0.%0216d170141183460469231731687303715884105728", 0);
    assert_decimal(I128_MIN, 255, expected);
}

static void powers_of_ten_cross_the_point_at_each_precision(void **state)
{
    (void)state;
    i128 minor = 1;
    for (int precision = 0; precision <= 37; precision++, minor *= 10) {
        char expected[DECIMAL_TEXT_MAX];
        if (precision == 0)
            snprintf(expected, sizeof expected, "1");
        else
            snprintf(expected, sizeof expected, "1.%0*d", precision, 0);
        assert_decimal(minor, (uint8_t)precision, expected);
        if (precision == 0)
            continue;
        char nines[64];
        memset(nines, '9', sizeof nines);
        snprintf(expected, sizeof expected, "-0.%.*s", precision, nines);
        assert_decimal(-(minor - 1), (uint8_t)precision, expected);
    }
}

static void unsigned_integers_are_exact(void **state)
{
    (void)state;
    char text[U128_TEXT_MAX];
    assert_int_equal(u128_format(0, text), 1);
    assert_string_equal(text, "0");
    assert_int_equal(u128_format(UINT64_MAX, text), 20);
    assert_string_equal(text, "18446744073709551615");
    assert_int_equal(u128_format((u128)1 << 63, text), 19);
    assert_string_equal(text, "9223372036854775808");
    assert_int_equal(u128_format(~(u128)0, text), 39);
    assert_string_equal(text, "340282366920938463463374607431768211455");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(precision_zero_has_no_point),
        cmocka_unit_test(amounts_have_exactly_precision_decimals),
        cmocka_unit_test(bounds_of_64_bits_are_exact),
        cmocka_unit_test(bounds_of_128_bits_are_exact),
        cmocka_unit_test(greatest_precision_fits),
        cmocka_unit_test(powers_of_ten_cross_the_point_at_each_precision),
        cmocka_unit_test(unsigned_integers_are_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
