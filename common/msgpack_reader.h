#ifndef TALEA_COMMON_MSGPACK_READER_H
#define TALEA_COMMON_MSGPACK_READER_H
/*
 * Reading MessagePack value by value from hostile bytes, without allocating.
 * msgpack-c, which we pack with, builds a tree whose arrays it allocates by
 * the count that the input claims, before it has seen one element; the arbiter
 * may not do that with what a worker wrote, nor can it afford the tree.
 * (Format: github.com/msgpack/msgpack, spec.md.)
 *
 * After the first mistake every further read fails too, so a caller may read
 * a whole value and ask once: msgpack_reader_ok.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/bytes.h"

struct msgpack_reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

static inline struct msgpack_reader msgpack_reader_of(struct bytes bytes)
{
    return (struct msgpack_reader){bytes.base, bytes.base + bytes.len, false};
}

static inline bool msgpack_reader_ok(const struct msgpack_reader *r)
{
    return !r->failed;
}

/* Everything was read and nothing was wrong. */
static inline bool msgpack_reader_done(const struct msgpack_reader *r)
{
    return !r->failed && r->at == r->end;
}

/* Skips a nil if one comes next. */
bool msgpack_read_nil(struct msgpack_reader *r);
struct bytes msgpack_read_str(struct msgpack_reader *r);
struct bytes msgpack_read_bin(struct msgpack_reader *r);
int64_t msgpack_read_int(struct msgpack_reader *r);   /* fails beyond i64 */
uint64_t msgpack_read_uint(struct msgpack_reader *r); /* fails below 0 */
/* Fails when fewer than `count` bytes are left, so a count is safe to allocate by. */
uint32_t msgpack_read_array(struct msgpack_reader *r);
void msgpack_expect_array(struct msgpack_reader *r, uint32_t count);
/* Passes over one value of any kind; nesting deeper than 16 fails. */
void msgpack_skip(struct msgpack_reader *r);

#endif
