/*
 * RFC 3339 date-times to and from seconds since the epoch, over the proleptic
 * Gregorian calendar with its year 0000. The C library's own functions are no
 * help: they know neither fractions nor second 60, and read the locale and TZ.
 */
#include "common/rfc3339.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "common/exit_status.h"
#include "common/report.h"

#define SECONDS_PER_DAY 86400
#define NANOS_PER_SECOND 1000000000u
#define MICROS_PER_SECOND 1000000

/* 0000-01-01T00:00:00Z and 9999-12-31T23:59:59Z: what the formatters can write. */
#define SECONDS_FIRST INT64_C(-62167219200)
#define SECONDS_LAST INT64_C(253402300799)

#define DAYS_PER_ERA 146097 /* 400 years */

/*
 * Day numbers: the year is counted from March, so that a leap day is its last
 * day, and 153 days are always five months of it. 719468 days lie between
 * 0000-03-01 and 1970-01-01.
 */
#define DAYS_TO_EPOCH 719468

static int64_t floor_divide(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static int64_t floor_remainder(int64_t a, int64_t b)
{
    return a % b + (a % b < 0 ? b : 0);
}

static int64_t day_of_date(int year, int month, int day)
{
    int64_t march_year = year - (month <= 2);
    int64_t era = floor_divide(march_year, 400);
    int64_t year_of_era = march_year - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * DAYS_PER_ERA + day_of_era - DAYS_TO_EPOCH;
}

static void date_of_day(int64_t epoch_day, int64_t *year, int *month, int *day)
{
    int64_t shifted = epoch_day + DAYS_TO_EPOCH;
    int64_t era = floor_divide(shifted, DAYS_PER_ERA);
    int64_t day_of_era = shifted - era * DAYS_PER_ERA;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / (DAYS_PER_ERA - 1)) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t march_month = (5 * day_of_year + 2) / 153;
    *day = (int)(day_of_year - (153 * march_month + 2) / 5 + 1);
    *month = (int)(march_month < 10 ? march_month + 3 : march_month - 9);
    *year = year_of_era + era * 400 + (*month <= 2);
}

static int days_in_month(int year, int month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

/* A reader over the text; once something did not fit it stays failed. */
struct cursor {
    const uint8_t *at, *end;
    bool failed;
};

static int take_number(struct cursor *c, int digits, int min, int max)
{
    int value = 0;
    for (int i = 0; i < digits; i++) {
        if (c->at == c->end || *c->at < '0' || *c->at > '9') {
            c->failed = true;
            return min;
        }
        value = value * 10 + (*c->at++ - '0');
    }
    if (value < min || value > max) {
        c->failed = true;
        return min;
    }
    return value;
}

/* One character out of `allowed`; returns it, or 0. */
static char take_one_of(struct cursor *c, const char *allowed)
{
    if (c->at < c->end && *c->at != '\0' && strchr(allowed, *c->at))
        return (char)*c->at++;
    c->failed = true;
    return 0;
}

static uint32_t take_fraction(struct cursor *c)
{
    if (c->at == c->end || *c->at != '.')
        return 0;
    c->at++;
    uint32_t nanos = 0;
    int digits = 0;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++) {
        if (++digits > 9) {
            c->failed = true;
            return 0;
        }
        nanos = nanos * 10 + (uint32_t)(*c->at - '0');
    }
    if (digits == 0)
        c->failed = true;
    for (; digits < 9; digits++)
        nanos *= 10;
    return nanos;
}

static int take_offset_minutes(struct cursor *c)
{
    char sign = take_one_of(c, "Zz+-");
    if (sign != '+' && sign != '-')
        return 0;
    int hours = take_number(c, 2, 0, 23);
    take_one_of(c, ":");
    int minutes = hours * 60 + take_number(c, 2, 0, 59);
    return sign == '-' ? -minutes : minutes;
}

int rfc3339_parse(struct bytes text, struct timestamp *out)
{
    if (text.len == 0)
        return EINVAL;
    struct cursor c = {text.base, text.base + text.len, false};
    int year = take_number(&c, 4, 0, 9999);
    take_one_of(&c, "-");
    int month = take_number(&c, 2, 1, 12);
    take_one_of(&c, "-");
    int day = take_number(&c, 2, 1, days_in_month(year, month));
    take_one_of(&c, "Tt ");
    int hour = take_number(&c, 2, 0, 23);
    take_one_of(&c, ":");
    int minute = take_number(&c, 2, 0, 59);
    take_one_of(&c, ":");
    int second = take_number(&c, 2, 0, 60);
    uint32_t nanos = take_fraction(&c);
    int offset = take_offset_minutes(&c);
    if (c.failed || c.at != c.end)
        return EINVAL;
    if (second == 60) {
        second = 59;
        nanos += NANOS_PER_SECOND;
    }
    struct timestamp t = {day_of_date(year, month, day) * SECONDS_PER_DAY + hour * 3600 +
                              (minute - offset) * 60 + second,
                          nanos};
    if (!timestamp_is_valid(t))
        return EINVAL;
    *out = t;
    return 0;
}

bool timestamp_is_valid(struct timestamp t)
{
    bool second_59 = floor_remainder(t.seconds, 60) == 59;
    return t.seconds >= SECONDS_FIRST && t.seconds <= SECONDS_LAST && t.nanos < (second_59 ? 2 : 1) * NANOS_PER_SECOND;
}

/* `width` digits, with zeros before them. Every answer has a time, and printf's formats cost more than all else in it. */
static char *put_digits(char *at, uint32_t value, int width)
{
    for (int i = width - 1; i >= 0; i--, value /= 10)
        at[i] = (char)('0' + value % 10);
    return at + width;
}

static char *put_after(char *at, char before, uint32_t value)
{
    *at = before;
    return put_digits(at + 1, value, 2);
}

/* Up to the seconds, without a fraction and the Z. Any int64_t gets a text: years beyond 0000..9999 are longer. */
static int format_seconds(int64_t seconds, int leap, char out[static RFC3339_TEXT_MAX])
{
    int64_t day_number = floor_divide(seconds, SECONDS_PER_DAY);
    int of_day = (int)floor_remainder(seconds, SECONDS_PER_DAY);
    int64_t year;
    int month, day;
    date_of_day(day_number, &year, &month, &day);
    bool usual = year >= 0 && year <= 9999;
    char *at = usual ? put_digits(out, (uint32_t)year, 4)
                     : out + snprintf(out, RFC3339_TEXT_MAX, "%04lld", (long long)year);
    at = put_after(at, '-', (uint32_t)month);
    at = put_after(at, '-', (uint32_t)day);
    at = put_after(at, 'T', (uint32_t)of_day / 3600);
    at = put_after(at, ':', (uint32_t)of_day / 60 % 60);
    at = put_after(at, ':', (uint32_t)(of_day % 60 + leap));
    return (int)(at - out);
}

/* Without digits: without a point. Returns the whole length. */
static int end_with_fraction(char *out, int length, uint32_t fraction, int digits)
{
    char *at = out + length;
    if (digits > 0) {
        *at = '.';
        at = put_digits(at + 1, fraction, digits);
    }
    *at++ = 'Z';
    *at = '\0';
    return (int)(at - out);
}

int rfc3339_format(struct timestamp t, char out[static RFC3339_TEXT_MAX])
{
    int length = format_seconds(t.seconds, t.nanos >= NANOS_PER_SECOND, out);
    uint32_t nanos = t.nanos % NANOS_PER_SECOND;
    if (nanos == 0)
        return end_with_fraction(out, length, 0, 0);
    if (nanos % 1000000 == 0)
        return end_with_fraction(out, length, nanos / 1000000, 3);
    if (nanos % 1000 == 0)
        return end_with_fraction(out, length, nanos / 1000, 6);
    return end_with_fraction(out, length, nanos, 9);
}

int rfc3339_format_us(int64_t at_us, char out[static RFC3339_TEXT_MAX])
{
    struct timestamp t = timestamp_of_us(at_us);
    int length = format_seconds(t.seconds, 0, out);
    return end_with_fraction(out, length, t.nanos / 1000, 6);
}

int64_t timestamp_floor_us(struct timestamp t)
{
    /* No clock of ours ever shows second 60, so all of it lies between :59.999999 and the next :00. */
    uint32_t nanos = t.nanos < NANOS_PER_SECOND ? t.nanos : NANOS_PER_SECOND - 1;
    int64_t us;
    if (__builtin_mul_overflow(t.seconds, INT64_C(1000000), &us) ||
        __builtin_add_overflow(us, nanos / 1000, &us))
        return t.seconds < 0 ? INT64_MIN : INT64_MAX;
    return us;
}

struct timestamp timestamp_of_us(int64_t at_us)
{
    return (struct timestamp){floor_divide(at_us, MICROS_PER_SECOND),
                              (uint32_t)floor_remainder(at_us, MICROS_PER_SECOND) * 1000};
}

int64_t clock_now_us(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0)
        report_fatal(EXIT_STATUS_FAILED, "cannot read the clock: %m");
    return (int64_t)now.tv_sec * MICROS_PER_SECOND + now.tv_nsec / 1000;
}

uint64_t clock_monotonic_ns(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0)
        report_fatal(EXIT_STATUS_FAILED, "cannot read the monotonic clock: %m");
    return (uint64_t)now.tv_sec * NANOS_PER_SECOND + (uint64_t)now.tv_nsec;
}
