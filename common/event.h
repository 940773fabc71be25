#ifndef TALEA_COMMON_EVENT_H
#define TALEA_COMMON_EVENT_H
/*
 * One event of a book, as it stands in the log: MessagePack
 * [kind int, book str, seq int, at_us int, tx_id bin(16) or nil, body], where
 * body is the packed draft, account or asset of draft.h, stored as a worker
 * encoded it.
 */
#include "common/draft.h"
#include "common/uuid7.h"

enum event_kind {
    EVENT_ASSET_REGISTERED = 1,
    EVENT_ACCOUNT_OPENED = 2,
    EVENT_TRANSACTION_POSTED = 3,
};

struct event {
    enum event_kind kind;
    struct bytes book;
    uint64_t seq;
    int64_t at_us;
    struct uuid tx_id; /* of a transaction */
    struct bytes body; /* still packed */
};

/* The wire contract's word ("transaction_posted"). */
const char *event_kind_word(enum event_kind kind);

void event_pack(struct buffer *out, const struct event *event);

/* Reads one event from the front of `bytes`, and how long it is. 0 or EBADMSG. Slices point into the input. */
int event_unpack(struct bytes bytes, struct event *out, size_t *length) __attribute__((warn_unused_result));

#endif
