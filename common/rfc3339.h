#ifndef TALEA_COMMON_RFC3339_H
#define TALEA_COMMON_RFC3339_H
/*
 * Points in time as RFC 3339 writes them (section 5.6), with the leniences of
 * the wire contract: `t`, `z` and a space for `T`, second 60, any offset,
 * 0 to 9 fractional digits.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/bytes.h"

struct timestamp {
    int64_t seconds; /* since 1970-01-01T00:00:00Z, leap seconds not counted */
    uint32_t nanos;  /* 0..999999999; 1000000000..1999999999 says second 60 of that minute (seconds is :59) */
};

#define RFC3339_TEXT_MAX 40 /* room for any text that the formatters write, with its NUL */

/* 0, or EINVAL when the text is no RFC 3339 date-time, or lies in UTC outside the years 0000..9999. */
int rfc3339_parse(struct bytes text, struct timestamp *out) __attribute__((warn_unused_result));

/*
 * Could rfc3339_parse have made it? Whoever reads a timestamp from a ring or a
 * file asks. The formatters take any value without harm, but write what is
 * outside as no RFC 3339 text.
 */
bool timestamp_is_valid(struct timestamp t);

/* In UTC with `Z` and 0, 3, 6 or 9 fractional digits, as few as hold it. Returns the length without the NUL. */
int rfc3339_format(struct timestamp t, char out[static RFC3339_TEXT_MAX]);

/* Microseconds since the epoch, always with 6 digits: how `at` is written. `at_us` lies in the years 0000..9999. */
int rfc3339_format_us(int64_t at_us, char out[static RFC3339_TEXT_MAX]);

/*
 * The greatest whole microsecond that is <= t: an event counts for an as_of
 * when its at_us <= this. Second 60 comes after all of second 59 and before
 * the next minute, so its floor is :59.999999. Saturates.
 */
int64_t timestamp_floor_us(struct timestamp t);

struct timestamp timestamp_of_us(int64_t at_us);

/* The wall clock, in microseconds since the epoch. */
int64_t clock_now_us(void);

/* CLOCK_MONOTONIC in nanoseconds: for durations only. */
uint64_t clock_monotonic_ns(void);

#endif
