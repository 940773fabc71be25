#include "common/msgpack_reader.h"

#include <endian.h>

#define DEPTH_MAX 16

static bool has(struct msgpack_reader *r, uint64_t n)
{
    if (!r->failed && (uint64_t)(r->end - r->at) >= n)
        return true;
    r->failed = true;
    return false;
}

/* The next n bytes (1, 2, 4 or 8) as a big-endian number. */
static uint64_t take_number(struct msgpack_reader *r, unsigned n)
{
    uint64_t value = 0;
    if (!has(r, n))
        return 0;
    for (unsigned i = 0; i < n; i++)
        value = value << 8 | *r->at++;
    return value;
}

static struct bytes take_bytes(struct msgpack_reader *r, uint64_t n)
{
    if (!has(r, n))
        return bytes_of(NULL, 0);
    struct bytes out = bytes_of(r->at, n);
    r->at += n;
    return out;
}

static uint8_t take_tag(struct msgpack_reader *r)
{
    return has(r, 1) ? *r->at++ : 0;
}

static void fail(struct msgpack_reader *r)
{
    r->failed = true;
}

bool msgpack_read_nil(struct msgpack_reader *r)
{
    if (r->failed || r->at == r->end || *r->at != 0xc0)
        return false;
    r->at++;
    return true;
}

struct bytes msgpack_read_str(struct msgpack_reader *r)
{
    uint8_t tag = take_tag(r);
    if (tag >= 0xa0 && tag <= 0xbf)
        return take_bytes(r, tag & 0x1fu);
    switch (tag) {
    case 0xd9:
        return take_bytes(r, take_number(r, 1));
    case 0xda:
        return take_bytes(r, take_number(r, 2));
    case 0xdb:
        return take_bytes(r, take_number(r, 4));
    default:
        fail(r);
        return bytes_of(NULL, 0);
    }
}

struct bytes msgpack_read_bin(struct msgpack_reader *r)
{
    switch (take_tag(r)) {
    case 0xc4:
        return take_bytes(r, take_number(r, 1));
    case 0xc5:
        return take_bytes(r, take_number(r, 2));
    case 0xc6:
        return take_bytes(r, take_number(r, 4));
    default:
        fail(r);
        return bytes_of(NULL, 0);
    }
}

/* Any integer, as 64 bits and whether it is negative. */
static uint64_t take_integer(struct msgpack_reader *r, bool *negative)
{
    uint8_t tag = take_tag(r);
    uint64_t value;
    *negative = false;
    if (tag <= 0x7f)
        return tag;
    if (tag >= 0xe0) {
        *negative = true;
        return (uint64_t)(int8_t)tag;
    }
    switch (tag) {
    case 0xcc:
        return take_number(r, 1);
    case 0xcd:
        return take_number(r, 2);
    case 0xce:
        return take_number(r, 4);
    case 0xcf:
        return take_number(r, 8);
    case 0xd0:
        value = (uint64_t)(int8_t)take_number(r, 1);
        break;
    case 0xd1:
        value = (uint64_t)(int16_t)take_number(r, 2);
        break;
    case 0xd2:
        value = (uint64_t)(int32_t)take_number(r, 4);
        break;
    case 0xd3:
        value = take_number(r, 8);
        break;
    default:
        fail(r);
        return 0;
    }
    *negative = (int64_t)value < 0;
    return value;
}

int64_t msgpack_read_int(struct msgpack_reader *r)
{
    bool negative;
    uint64_t value = take_integer(r, &negative);
    if (!negative && value > INT64_MAX)
        fail(r);
    return r->failed ? 0 : (int64_t)value;
}

uint64_t msgpack_read_uint(struct msgpack_reader *r)
{
    bool negative;
    uint64_t value = take_integer(r, &negative);
    if (negative)
        fail(r);
    return r->failed ? 0 : value;
}

uint32_t msgpack_read_array(struct msgpack_reader *r)
{
    uint8_t tag = take_tag(r);
    uint64_t count = 0;
    if (tag >= 0x90 && tag <= 0x9f)
        count = tag & 0x0fu;
    else if (tag == 0xdc)
        count = take_number(r, 2);
    else if (tag == 0xdd)
        count = take_number(r, 4);
    else
        fail(r);
    return has(r, count) ? (uint32_t)count : 0;
}

void msgpack_expect_array(struct msgpack_reader *r, uint32_t count)
{
    if (msgpack_read_array(r) != count)
        fail(r);
}

static void skip(struct msgpack_reader *r, unsigned depth);

static void skip_many(struct msgpack_reader *r, uint64_t count, unsigned depth)
{
    if (depth == 0 || !has(r, count))
        fail(r);
    for (uint64_t i = 0; i < count && !r->failed; i++)
        skip(r, depth - 1);
}

/* Tags 0xc0..0xdf; the ranges on both sides are the caller's. */
static void skip_tagged(struct msgpack_reader *r, uint8_t tag, unsigned depth)
{
    static const uint8_t fixed[32] = {
        [0xca - 0xc0] = 4, [0xcb - 0xc0] = 8, [0xcc - 0xc0] = 1, [0xcd - 0xc0] = 2, [0xce - 0xc0] = 4,
        [0xcf - 0xc0] = 8, [0xd0 - 0xc0] = 1, [0xd1 - 0xc0] = 2, [0xd2 - 0xc0] = 4, [0xd3 - 0xc0] = 8,
        [0xd4 - 0xc0] = 2, [0xd5 - 0xc0] = 3, [0xd6 - 0xc0] = 5, [0xd7 - 0xc0] = 9, [0xd8 - 0xc0] = 17,
    };
    switch (tag) {
    case 0xc1: /* never used by the format */
        fail(r);
        return;
    case 0xc4:
    case 0xd9:
        take_bytes(r, take_number(r, 1));
        return;
    case 0xc5:
    case 0xda:
        take_bytes(r, take_number(r, 2));
        return;
    case 0xc6:
    case 0xdb:
        take_bytes(r, take_number(r, 4));
        return;
    case 0xc7: /* extension types: a length, a type octet, the data */
        take_bytes(r, take_number(r, 1) + 1);
        return;
    case 0xc8:
        take_bytes(r, take_number(r, 2) + 1);
        return;
    case 0xc9:
        take_bytes(r, take_number(r, 4) + 1);
        return;
    case 0xdc:
        skip_many(r, take_number(r, 2), depth);
        return;
    case 0xdd:
        skip_many(r, take_number(r, 4), depth);
        return;
    case 0xde:
        skip_many(r, 2 * take_number(r, 2), depth);
        return;
    case 0xdf:
        skip_many(r, 2 * take_number(r, 4), depth);
        return;
    default: /* nil, booleans and numbers */
        take_bytes(r, fixed[tag - 0xc0]);
        return;
    }
}

static void skip(struct msgpack_reader *r, unsigned depth)
{
    uint8_t tag = take_tag(r);
    if (tag <= 0x7f || tag >= 0xe0)
        return;
    if (tag <= 0x8f)
        skip_many(r, 2 * (tag & 0x0fu), depth);
    else if (tag <= 0x9f)
        skip_many(r, tag & 0x0fu, depth);
    else if (tag <= 0xbf)
        take_bytes(r, tag & 0x1fu);
    else
        skip_tagged(r, tag, depth);
}

void msgpack_skip(struct msgpack_reader *r)
{
    skip(r, DEPTH_MAX);
}
