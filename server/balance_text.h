#ifndef TALEA_SERVER_BALANCE_TEXT_H
#define TALEA_SERVER_BALANCE_TEXT_H
/*
 * A balance as its answer shows it. Of all answers this one is asked for most,
 * so it is put together from ready pieces; only a name with something in it
 * that JSON or an account key escapes goes through the generator. For a worker.
 */
#include "common/arena.h"
#include "common/buffer.h"
#include "common/decimal.h"
#include "common/rfc3339.h"

struct balance_view {
    struct bytes book;
    struct bytes path;
    struct bytes asset; /* its id */
    i128 balance;       /* in minor units */
    uint8_t precision;
    bool past; /* as of that time; else as_of is null */
    struct timestamp as_of;
    uint64_t updated_seq;
};

/* Appends it to `out`. */
void balance_text_write(const struct balance_view *view, struct arena *arena, struct buffer *out);

#endif
