#include "server/query.h"

#include <errno.h>

#include "server/routes.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MAX 1000

/* The decoded value of a parameter. *present false: it is not there. */
static int find(struct bytes query, const char *name, struct arena *arena, bool *present, struct bytes *value,
                const char **reason)
{
    *present = false;
    while (query.len > 0) {
        const uint8_t *amp = memchr(query.base, '&', query.len);
        struct bytes pair = bytes_of(query.base, amp ? (size_t)(amp - query.base) : query.len);
        query = amp ? bytes_of(amp + 1, query.len - pair.len - 1) : bytes_of(NULL, 0);
        const uint8_t *equals = pair.len ? memchr(pair.base, '=', pair.len) : NULL;
        struct bytes key = equals ? bytes_of(pair.base, (size_t)(equals - pair.base)) : pair;
        if (key.len == 0 || !bytes_equal(percent_decode(key, true, arena), bytes_of_string(name)))
            continue;
        if (*present) {
            *reason = "a parameter is given twice";
            return EINVAL;
        }
        *present = true;
        struct bytes text = equals ? bytes_of(equals + 1, pair.len - key.len - 1) : bytes_of("", 0);
        *value = text.len ? percent_decode(text, true, arena) : text;
    }
    return 0;
}

/* Digits alone, as a number; ERANGE beyond u64. */
static int parse_digits(struct bytes text, uint64_t *out)
{
    *out = 0;
    if (text.len == 0)
        return EINVAL;
    for (size_t i = 0; i < text.len; i++) {
        if (text.base[i] < '0' || text.base[i] > '9')
            return EINVAL;
        if (__builtin_mul_overflow(*out, 10, out) || __builtin_add_overflow(*out, (uint64_t)(text.base[i] - '0'), out))
            return ERANGE;
    }
    return 0;
}

static struct bytes without_first(struct bytes text)
{
    return bytes_of(text.base + 1, text.len - 1);
}

int parse_sequence(struct bytes text, uint64_t *out)
{
    bool negative = text.len > 0 && text.base[0] == '-';
    if (negative || (text.len > 0 && text.base[0] == '+'))
        text = without_first(text);
    int error = parse_digits(text, out);
    uint64_t limit = (uint64_t)INT64_MAX + negative;
    if (error || *out > limit)
        return EINVAL;
    if (negative)
        *out = 0;
    return 0;
}

int query_as_of(struct bytes query, struct arena *arena, bool *present, struct timestamp *out, const char **reason)
{
    struct bytes value;
    int error = find(query, "as_of", arena, present, &value, reason);
    if (error || !*present)
        return error;
    *reason = "as_of is no RFC 3339 date-time (a + in a query is a space: write %2B)";
    return rfc3339_parse(value, out);
}

int query_limit(struct bytes query, struct arena *arena, uint32_t *out, const char **reason)
{
    bool present;
    struct bytes value;
    uint64_t limit;
    *out = LIMIT_DEFAULT;
    int error = find(query, "limit", arena, &present, &value, reason);
    if (error || !present)
        return error;
    *reason = "limit is no whole number";
    if (value.len > 0 && value.base[0] == '+')
        value = without_first(value);
    if (parse_digits(value, &limit) != 0)
        return EINVAL;
    *out = limit < 1 ? 1 : limit > LIMIT_MAX ? LIMIT_MAX : (uint32_t)limit;
    return 0;
}

int query_sequence(struct bytes query, const char *name, struct arena *arena, uint64_t *out, const char **reason)
{
    bool present;
    struct bytes value;
    *out = 0;
    int error = find(query, name, arena, &present, &value, reason);
    if (error || !present)
        return error;
    *reason = "not a whole number";
    return parse_sequence(value, out);
}
