#include "common/event.h"

/*
 * The frame around a packed body. The body is appended as it stands and skipped
 * by its MessagePack structure alone; nobody has to understand it to find the
 * event behind it.
 */
#include <errno.h>

#include <msgpack.h>

#include "common/msgpack_reader.h"

const char *event_kind_word(enum event_kind kind)
{
    switch (kind) {
    case EVENT_ASSET_REGISTERED:
        return "asset_registered";
    case EVENT_ACCOUNT_OPENED:
        return "account_opened";
    case EVENT_TRANSACTION_POSTED:
        return "transaction_posted";
    }
    return NULL;
}

void event_pack(struct buffer *out, const struct event *event)
{
    msgpack_packer pk;
    msgpack_packer_init(&pk, out, buffer_msgpack_write);
    msgpack_pack_array(&pk, 6);
    msgpack_pack_int(&pk, event->kind);
    msgpack_pack_str(&pk, event->book.len);
    msgpack_pack_str_body(&pk, event->book.base, event->book.len);
    msgpack_pack_uint64(&pk, event->seq);
    msgpack_pack_int64(&pk, event->at_us);
    if (event->kind == EVENT_TRANSACTION_POSTED) {
        msgpack_pack_bin(&pk, sizeof event->tx_id.octets);
        msgpack_pack_bin_body(&pk, event->tx_id.octets, sizeof event->tx_id.octets);
    } else {
        msgpack_pack_nil(&pk);
    }
    buffer_append(out, event->body.base, event->body.len);
}

int event_unpack(struct bytes bytes, struct event *out, size_t *length)
{
    struct msgpack_reader r = msgpack_reader_of(bytes);
    *out = (struct event){0};
    msgpack_expect_array(&r, 6);
    uint64_t kind = msgpack_read_uint(&r);
    out->book = msgpack_read_str(&r);
    out->seq = msgpack_read_uint(&r);
    out->at_us = msgpack_read_int(&r);
    if (kind == EVENT_TRANSACTION_POSTED) {
        struct bytes id = msgpack_read_bin(&r);
        if (id.len != sizeof out->tx_id.octets)
            return EBADMSG;
        memcpy(out->tx_id.octets, id.base, id.len);
    } else if (!msgpack_read_nil(&r)) {
        return EBADMSG;
    }
    const uint8_t *body = r.at;
    msgpack_skip(&r);
    if (!msgpack_reader_ok(&r) || kind < EVENT_ASSET_REGISTERED || kind > EVENT_TRANSACTION_POSTED)
        return EBADMSG;
    out->kind = (enum event_kind)kind;
    out->body = bytes_of(body, (size_t)(r.at - body));
    *length = (size_t)(r.at - bytes.base);
    return 0;
}
