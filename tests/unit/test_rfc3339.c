/* RFC 3339 date-times: what is read, what is refused, what is written. */
#include "common/rfc3339.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static void assert_refused(const char *text)
{
    struct timestamp t = {7, 7};
    if (rfc3339_parse(bytes_of_string(text), &t) != EINVAL)
        fail_msg("not refused: %s", text);
    assert_int_equal(t.seconds, 7);
    assert_int_equal(t.nanos, 7);
}

static void assert_echo(const char *text, const char *expected)
{
    struct timestamp t;
    char echo[RFC3339_TEXT_MAX];
    if (rfc3339_parse(bytes_of_string(text), &t) != 0)
        fail_msg("refused: %s", text);
    assert_int_equal(rfc3339_format(t, echo), strlen(expected));
    assert_string_equal(echo, expected);
    assert_true(timestamp_is_valid(t));
}

static void assert_seconds(const char *text, int64_t seconds, uint32_t nanos)
{
    struct timestamp t;
    assert_int_equal(rfc3339_parse(bytes_of_string(text), &t), 0);
    assert_int_equal(t.seconds, seconds);
    assert_int_equal(t.nanos, nanos);
}

static void known_instants_have_their_seconds(void **state)
{
    (void)state;
    assert_seconds("1970-01-01T00:00:00Z", 0, 0);
    assert_seconds("1969-12-31T23:59:59.999999999Z", -1, 999999999);
    assert_seconds("2000-02-29T12:00:00Z", 951825600, 0);
    assert_seconds("2026-06-04T12:00:00.123456Z", 1780574400, 123456000);
    assert_seconds("2038-01-19T03:14:08Z", 2147483648, 0);
    assert_seconds("0000-01-01T00:00:00Z", -62167219200, 0);
    assert_seconds("0001-01-01T00:00:00Z", -62135596800, 0);
    assert_seconds("9999-12-31T23:59:59.999999999Z", 253402300799, 999999999);
}

static void lenient_spellings_are_read(void **state)
{
    (void)state;
    assert_echo("2999-01-01t00:00:00z", "2999-01-01T00:00:00Z");
    assert_echo("2999-01-01 00:00:00Z", "2999-01-01T00:00:00Z");
    assert_echo("2999-01-01 00:00:00.5z", "2999-01-01T00:00:00.500Z");
}

static void echo_has_as_few_fraction_digits_as_hold_it(void **state)
{
    (void)state;
    assert_echo("2020-01-02T03:04:05.0Z", "2020-01-02T03:04:05Z");
    assert_echo("2020-01-02T03:04:05.000000000Z", "2020-01-02T03:04:05Z");
    assert_echo("2020-01-02T03:04:05.5Z", "2020-01-02T03:04:05.500Z");
    assert_echo("2020-01-02T03:04:05.001Z", "2020-01-02T03:04:05.001Z");
    assert_echo("2020-01-02T03:04:05.0001Z", "2020-01-02T03:04:05.000100Z");
    assert_echo("2020-01-02T03:04:05.678901+02:00", "2020-01-02T01:04:05.678901Z");
    assert_echo("2020-01-02T03:04:05.000001Z", "2020-01-02T03:04:05.000001Z");
    assert_echo("2020-01-02T03:04:05.0000001Z", "2020-01-02T03:04:05.000000100Z");
    assert_echo("2020-01-02T03:04:05.123456789Z", "2020-01-02T03:04:05.123456789Z");
    assert_echo("2020-01-02T03:04:05.000000001Z", "2020-01-02T03:04:05.000000001Z");
}

static void offsets_are_carried_to_utc(void **state)
{
    (void)state;
    assert_echo("2999-01-01T00:00:00+02:00", "2998-12-31T22:00:00Z");
    assert_echo("2020-02-28T23:30:00-00:45", "2020-02-29T00:15:00Z");
    assert_echo("2019-02-28T23:30:00-00:45", "2019-03-01T00:15:00Z");
    assert_echo("2020-01-01T00:00:00+23:59", "2019-12-31T00:01:00Z");
    assert_echo("2020-01-01T00:00:00-23:59", "2020-01-01T23:59:00Z");
    assert_echo("2020-01-01T00:00:00+00:00", "2020-01-01T00:00:00Z");
    assert_echo("2020-01-01T00:00:00-00:00", "2020-01-01T00:00:00Z");
    assert_echo("0000-01-01T00:00:00-00:01", "0000-01-01T00:01:00Z");
    assert_echo("0000-01-01T02:00:00+02:00", "0000-01-01T00:00:00Z");
    assert_echo("9999-12-31T23:59:59+00:01", "9999-12-31T23:58:59Z");
    assert_echo("9999-12-31T21:59:59.999999999-02:00", "9999-12-31T23:59:59.999999999Z");
}

static void offsets_that_leave_the_years_are_refused(void **state)
{
    (void)state;
    assert_refused("0000-01-01T00:00:00+00:01");
    assert_refused("0000-01-01T23:58:59.999999999+23:59");
    assert_refused("9999-12-31T23:59:59-00:01");
    assert_refused("9999-12-31T00:01:00-23:59");
    assert_refused("9999-12-31T23:59:60-00:01");
}

static void leap_seconds_are_kept(void **state)
{
    (void)state;
    assert_seconds("2016-12-31T23:59:60Z", 1483228799, 1000000000);
    assert_seconds("2016-12-31T23:59:60.999999999Z", 1483228799, 1999999999);
    assert_echo("2016-12-31T23:59:60Z", "2016-12-31T23:59:60Z");
    assert_echo("2016-12-31T23:59:60.5Z", "2016-12-31T23:59:60.500Z");
    assert_echo("2017-01-01T01:59:60+02:00", "2016-12-31T23:59:60Z");
    assert_echo("2020-01-01T12:30:60Z", "2020-01-01T12:30:60Z");
    assert_echo("2020-01-01T12:30:60.000001+00:31", "2020-01-01T11:59:60.000001Z");
    assert_echo("9999-12-31T23:59:60.999999999Z", "9999-12-31T23:59:60.999999999Z");
    assert_echo("0000-01-01T00:00:60Z", "0000-01-01T00:00:60Z");
}

static void numbers_out_of_range_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "2020-00-01T00:00:00Z",      "2020-13-01T00:00:00Z",      "2020-01-00T00:00:00Z",
        "2020-01-32T00:00:00Z",      "2020-04-31T00:00:00Z",      "2020-02-30T00:00:00Z",
        "2019-02-29T00:00:00Z",      "1900-02-29T00:00:00Z",      "2100-02-29T00:00:00Z",
        "2020-01-01T24:00:00Z",      "2020-01-01T00:60:00Z",      "2020-01-01T00:00:61Z",
        "2020-01-01T00:00:99Z",      "2020-01-01T00:00:00+24:00", "2020-01-01T00:00:00-99:00",
        "2020-01-01T00:00:00+00:60", "2020-01-01T00:00:00+12:99",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_refused(texts[i]);
    assert_echo("2000-02-29T00:00:00Z", "2000-02-29T00:00:00Z");
    assert_echo("2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z");
    assert_echo("0000-02-29T00:00:00Z", "0000-02-29T00:00:00Z");
}

static void other_forms_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "x",
        "Z",
        "2020-01-01",
        "2020-01-01T",
        "2020-01-01T00:00Z",
        "2020-01-01T00:00:00",
        "2020-01-01T00:00:0Z",
        "2020-1-01T00:00:00Z",
        "020-01-01T00:00:00Z",
        "12020-01-01T00:00:00Z",
        "+2020-01-01T00:00:00Z",
        "-020-01-01T00:00:00Z",
        "20200101T000000Z",
        "2020-01-01T00:00:00Z ",
        " 2020-01-01T00:00:00Z",
        "2020-01-01  00:00:00Z",
        "2020-01-01_00:00:00Z",
        "2020-01-01T00:00:00ZZ",
        "2020-01-01T00:00:00Z+00:00",
        "2020-01-01T00:00:00 +00:00",
        "2020-01-01T00:00:00 00:00",
        "2020-01-01T00:00:00+0000",
        "2020-01-01T00:00:00+00",
        "2020-01-01T00:00:00+00:0",
        "2020-01-01T00:00:00+00:000",
        "2020-01-01T00:00:00+00:00:00",
        "2020-01-01T00:00:00\u221202:00", /* a typographer's minus */
        "2020-01-01T00:00:00.Z",
        "2020-01-01T00:00:00.",
        "2020-01-01T00:00:00.5",
        "2020-01-01T00:00:00,5Z",
        "2020-01-01T00:00:00.+5Z",
        "2020-01-01T00:00:00.5.5Z",
        "2020-01-01T00:00.5Z",
        "2020-01-01T00:00:00Y",
        "2020-W01-1T00:00:00Z",
        "2020-001T00:00:00Z",
        "2020/01/01T00:00:00Z",
        "2020-01-01T00.00.00Z",
        "2020-01-01T-1:00:00Z",
        "2020-01-01T 1:00:00Z",
        "2020-01-01T+1:00:00Z",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_refused(texts[i]);
    struct timestamp t;
    assert_int_equal(rfc3339_parse((struct bytes){NULL, 0}, &t), EINVAL);
}

static void ten_fraction_digits_are_refused(void **state)
{
    (void)state;
    assert_refused("2020-01-01T00:00:00.1234567890Z");
    assert_refused("2020-01-01T00:00:00.0000000000Z");
    assert_refused("2020-01-01T00:00:00.00000000000000000000000000000000000000000000Z");
}

static void nul_and_high_bytes_are_refused_anywhere(void **state)
{
    (void)state;
    const char whole[] = "2020-01-01T00:00:00.5+00:00";
    struct timestamp t;
    for (size_t i = 0; i < sizeof whole - 1; i++) {
        static const char bad[] = {'\0', '\x80', '\xff', '/', ';', '\n'};
        for (size_t j = 0; j < sizeof bad; j++) {
            char text[sizeof whole];
            memcpy(text, whole, sizeof text);
            text[i] = bad[j];
            assert_int_equal(rfc3339_parse(bytes_of(text, sizeof text - 1), &t), EINVAL);
        }
    }
    assert_int_equal(rfc3339_parse(bytes_of(whole, sizeof whole), &t), EINVAL); /* with its NUL */
}

static void every_prefix_of_a_text_is_refused(void **state)
{
    (void)state;
    const char whole[] = "2020-01-01T00:00:00.5+00:00";
    struct timestamp t;
    for (size_t length = 0; length < sizeof whole - 1; length++)
        assert_int_equal(rfc3339_parse(bytes_of(whole, length), &t), EINVAL);
    assert_int_equal(rfc3339_parse(bytes_of(whole, sizeof whole - 1), &t), 0);
}

/* Against the C library's calendar, which is another implementation. */
static void every_day_of_all_years_agrees_with_the_c_library(void **state)
{
    (void)state;
    int days = 0;
    for (int64_t seconds = -62167219200; seconds <= 253402300799; seconds += 86400, days++) {
        time_t time = (time_t)(seconds + days % 86400);
        struct tm tm;
        assert_non_null(gmtime_r(&time, &tm));
        char expected[64], text[RFC3339_TEXT_MAX];
        snprintf(expected, sizeof expected, "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900,
                 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
        rfc3339_format((struct timestamp){time, 0}, text);
        if (strcmp(text, expected) != 0)
            fail_msg("%s is not %s", text, expected);
        struct timestamp back;
        assert_int_equal(rfc3339_parse(bytes_of_string(text), &back), 0);
        if (back.seconds != time)
            fail_msg("%s is not read back", text);
    }
    assert_int_equal(days, 3652425);
}

static void commit_times_always_have_six_digits(void **state)
{
    (void)state;
    static const struct {
        int64_t at_us;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000000Z"},
        {1, "1970-01-01T00:00:00.000001Z"},
        {-1, "1969-12-31T23:59:59.999999Z"},
        {-1000000, "1969-12-31T23:59:59.000000Z"},
        {1780574400123456, "2026-06-04T12:00:00.123456Z"},
        {253402300799999999, "9999-12-31T23:59:59.999999Z"},
        {-62167219200000000, "0000-01-01T00:00:00.000000Z"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[RFC3339_TEXT_MAX];
        assert_int_equal(rfc3339_format_us(cases[i].at_us, text), strlen(cases[i].text));
        assert_string_equal(text, cases[i].text);
    }
}

static void any_value_can_be_formatted_without_harm(void **state)
{
    (void)state;
    static const int64_t seconds[] = {INT64_MIN,    INT64_MIN + 1, -62167219201,
                                      253402300800, INT64_MAX - 1, INT64_MAX};
    static const uint32_t nanos[] = {0, 999999999, 1000000000, 1999999999, 2000000000, UINT32_MAX};
    for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++) {
        for (size_t j = 0; j < sizeof nanos / sizeof *nanos; j++) {
            char text[RFC3339_TEXT_MAX];
            int length = rfc3339_format((struct timestamp){seconds[i], nanos[j]}, text);
            assert_true(length < RFC3339_TEXT_MAX);
            assert_int_equal(strlen(text), length);
            assert_false(timestamp_is_valid((struct timestamp){seconds[i], nanos[j]}));
        }
        char text[RFC3339_TEXT_MAX];
        int length = rfc3339_format_us(seconds[i], text);
        assert_int_equal(strlen(text), length);
    }
}

static void only_what_parse_makes_is_valid(void **state)
{
    (void)state;
    assert_true(timestamp_is_valid((struct timestamp){-62167219200, 0}));
    assert_true(timestamp_is_valid((struct timestamp){253402300799, 1999999999}));
    assert_true(timestamp_is_valid((struct timestamp){-1, 1000000000}));
    assert_false(timestamp_is_valid((struct timestamp){0, 1000000000})); /* second 00 cannot be second 60 */
    assert_false(timestamp_is_valid((struct timestamp){58, 1000000000}));
    assert_false(timestamp_is_valid((struct timestamp){59, 2000000000}));
    assert_false(timestamp_is_valid((struct timestamp){59, UINT32_MAX}));
}

static int64_t floor_of(const char *text)
{
    struct timestamp t;
    assert_int_equal(rfc3339_parse(bytes_of_string(text), &t), 0);
    return timestamp_floor_us(t);
}

static void floor_is_the_last_microsecond_not_after(void **state)
{
    (void)state;
    assert_int_equal(floor_of("1970-01-01T00:00:00Z"), 0);
    assert_int_equal(floor_of("1970-01-01T00:00:00.000000999Z"), 0);
    assert_int_equal(floor_of("1970-01-01T00:00:00.000001Z"), 1);
    assert_int_equal(floor_of("1969-12-31T23:59:59.999999999Z"), -1);
    assert_int_equal(floor_of("1969-12-31T23:59:59.999998999Z"), -2);
    assert_int_equal(floor_of("2026-06-04T12:00:00.123456789Z"), 1780574400123456);
    assert_int_equal(floor_of("9999-12-31T23:59:59.999999999Z"), 253402300799999999);
}

static void floor_of_second_60_stays_before_the_next_minute(void **state)
{
    (void)state;
    assert_int_equal(floor_of("2016-12-31T23:59:60Z"), 1483228799999999);
    assert_int_equal(floor_of("2016-12-31T23:59:60.999999999Z"), 1483228799999999);
    assert_true(floor_of("2016-12-31T23:59:60.5Z") < floor_of("2017-01-01T00:00:00Z"));
}

static void floor_saturates(void **state)
{
    (void)state;
    assert_int_equal(timestamp_floor_us((struct timestamp){INT64_MAX, 0}), INT64_MAX);
    assert_int_equal(timestamp_floor_us((struct timestamp){INT64_MIN, 999999999}), INT64_MIN);
    assert_int_equal(timestamp_floor_us((struct timestamp){INT64_MAX / 1000000, 999999999}), INT64_MAX);
}

static void microseconds_go_there_and_back(void **state)
{
    (void)state;
    static const int64_t us[] = {0,
                                 1,
                                 -1,
                                 999999,
                                 1000000,
                                 -999999,
                                 -1000000,
                                 -1000001,
                                 1780574400123456,
                                 INT64_MAX,
                                 INT64_MIN + 1000000};
    for (size_t i = 0; i < sizeof us / sizeof *us; i++) {
        struct timestamp t = timestamp_of_us(us[i]);
        assert_true(t.nanos < 1000000000);
        assert_int_equal(timestamp_floor_us(t), us[i]);
    }
    struct timestamp before_epoch = timestamp_of_us(-1);
    assert_int_equal(before_epoch.seconds, -1);
    assert_int_equal(before_epoch.nanos, 999999000);
}

static void clocks_tell_the_time(void **state)
{
    (void)state;
    int64_t before = (int64_t)time(NULL) * 1000000;
    int64_t now = clock_now_us();
    assert_true(now >= before - 1000000 && now <= before + 60 * INT64_C(1000000));
    uint64_t first = clock_monotonic_ns(), second = clock_monotonic_ns();
    assert_true(second >= first);
    assert_true(first > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_instants_have_their_seconds),
        cmocka_unit_test(lenient_spellings_are_read),
        cmocka_unit_test(echo_has_as_few_fraction_digits_as_hold_it),
        cmocka_unit_test(offsets_are_carried_to_utc),
        cmocka_unit_test(offsets_that_leave_the_years_are_refused),
        cmocka_unit_test(leap_seconds_are_kept),
        cmocka_unit_test(numbers_out_of_range_are_refused),
        cmocka_unit_test(other_forms_are_refused),
        cmocka_unit_test(ten_fraction_digits_are_refused),
        cmocka_unit_test(nul_and_high_bytes_are_refused_anywhere),
        cmocka_unit_test(every_prefix_of_a_text_is_refused),
        cmocka_unit_test(every_day_of_all_years_agrees_with_the_c_library),
        cmocka_unit_test(commit_times_always_have_six_digits),
        cmocka_unit_test(any_value_can_be_formatted_without_harm),
        cmocka_unit_test(only_what_parse_makes_is_valid),
        cmocka_unit_test(floor_is_the_last_microsecond_not_after),
        cmocka_unit_test(floor_of_second_60_stays_before_the_next_minute),
        cmocka_unit_test(floor_saturates),
        cmocka_unit_test(microseconds_go_there_and_back),
        cmocka_unit_test(clocks_tell_the_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
