/*
 * A request's target, a query and a point in time, all three out of the same octets: percent decoding, the routes,
 * the parameters, RFC 3339.
 *
 * What is encoded decodes to itself; names are UTF-8 or said not to be; a time that is taken is written as text that
 * is taken as the same time and written the same again, and with an octet more or less it is not taken; limits
 * and cursors are in their ranges.
 */
#include <errno.h>
#include <stdlib.h>

#include <unistr.h>

#include "server/query.h"
#include "server/routes.h"
#include "tests/fuzz/fuzz.h"

static struct arena *arena;

static void check_coding(struct bytes text)
{
    static const char digits[] = "0123456789abcdef", other_digits[] = "0123456789ABCDEF";
    uint8_t *encoded = arena_alloc(arena, 3 * text.len);
    for (size_t i = 0; i < text.len; i++) {
        encoded[3 * i] = '%';
        encoded[3 * i + 1] = (uint8_t)(i % 2 ? digits : other_digits)[text.base[i] >> 4];
        encoded[3 * i + 2] = (uint8_t)(i % 3 ? digits : other_digits)[text.base[i] & 15];
    }
    if (text.len)
        FUZZ_HOLDS(bytes_equal(percent_decode(bytes_of(encoded, 3 * text.len), text.len % 2, arena), text));
}

static void check_decoding(struct bytes text, bool plus_is_space)
{
    if (text.len == 0)
        return;
    struct bytes decoded = percent_decode(text, plus_is_space, arena);
    FUZZ_HOLDS(decoded.len <= text.len && decoded.len * 3 >= text.len);
}

static void check_segment(struct bytes segment, bool expected, bool not_utf8)
{
    FUZZ_HOLDS((segment.base != NULL) == expected);
    FUZZ_HOLDS(not_utf8 || segment.len == 0 || !u8_check(segment.base, segment.len));
}

static void check_routes(struct bytes target, bool metrics)
{
    struct route_match match;
    routes_match(target, metrics, arena, &match);
    FUZZ_HOLDS(match.id <= ROUTE_NONE);
    FUZZ_HOLDS(match.id == ROUTE_NONE || routes[match.id].on_metrics_listener == metrics);
    FUZZ_HOLDS(match.query.len <= target.len);
    const char *path = routes[match.id].path;
    check_segment(match.book, strstr(path, "{book}") != NULL, match.not_utf8);
    check_segment(match.path, strstr(path, "{path}") != NULL, match.not_utf8);
    check_segment(match.tx_id, strstr(path, "{tx_id}") != NULL, match.not_utf8);
}

static int64_t whole_us(struct timestamp t)
{
    return t.seconds * 1000000 + (t.nanos < 1000000000 ? t.nanos : 999999999) / 1000;
}

static void check_time(struct timestamp t)
{
    struct timestamp again;
    char text[RFC3339_TEXT_MAX], text_again[RFC3339_TEXT_MAX];
    FUZZ_HOLDS(timestamp_is_valid(t));
    int n = rfc3339_format(t, text);
    FUZZ_HOLDS(n > 0 && n < RFC3339_TEXT_MAX && text[n - 1] == 'Z');
    FUZZ_HOLDS(rfc3339_parse(bytes_of(text, (size_t)n), &again) == 0);
    FUZZ_HOLDS(again.seconds == t.seconds && again.nanos == t.nanos);
    FUZZ_HOLDS(rfc3339_format(again, text_again) == n && memcmp(text, text_again, (size_t)n) == 0);
    int64_t us = timestamp_floor_us(t);
    FUZZ_HOLDS(us == whole_us(t));
    n = rfc3339_format_us(us, text);
    FUZZ_HOLDS(rfc3339_parse(bytes_of(text, (size_t)n), &again) == 0 && timestamp_floor_us(again) == us);
}

static void check_parsed_time(struct bytes text)
{
    static const struct timestamp untouched = {-1, 7};
    struct timestamp t = untouched;
    if (rfc3339_parse(text, &t) != 0) {
        FUZZ_HOLDS(t.seconds == untouched.seconds && t.nanos == untouched.nanos);
        return;
    }
    check_time(t);
    uint8_t *longer = arena_alloc(arena, text.len + 1);
    memcpy(longer, text.base, text.len);
    longer[text.len] = text.base[text.len - 1];
    FUZZ_HOLDS(rfc3339_parse(bytes_of(longer, text.len + 1), &t) == EINVAL);
    FUZZ_HOLDS(rfc3339_parse(bytes_of(text.base, text.len - 1), &t) == EINVAL);
}

static void check_as_of(struct bytes query)
{
    bool present = false;
    struct timestamp as_of;
    const char *reason = NULL;
    int error = query_as_of(query, arena, &present, &as_of, &reason);
    FUZZ_HOLDS(error == 0 || (error == EINVAL && present && reason));
    if (error == 0 && present)
        check_time(as_of);
}

static void check_numbers(struct bytes query)
{
    static const char *const names[] = {"after_seq", "from"};
    uint32_t limit;
    uint64_t sequence;
    const char *reason = NULL;
    int error = query_limit(query, arena, &limit, &reason);
    FUZZ_HOLDS(error == EINVAL ? reason != NULL : error == 0 && limit >= 1 && limit <= 1000);
    for (size_t i = 0; i < 2; i++) {
        reason = NULL;
        error = query_sequence(query, names[i], arena, &sequence, &reason);
        FUZZ_HOLDS(error == EINVAL ? reason != NULL : error == 0 && sequence <= INT64_MAX);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = fuzz_copy(bytes_of(data, size));
    struct bytes input = bytes_of(copy, size), query;
    arena = arena_create();
    check_coding(input);
    check_decoding(input, false);
    check_decoding(input, true);
    check_routes(input, false);
    check_routes(input, true);
    check_parsed_time(input);
    (void)fuzz_cut(input, "?", &query);
    check_as_of(query);
    check_numbers(query);
    arena_destroy(&arena);
    free(copy);
    return 0;
}
