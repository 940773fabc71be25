#include "common/message.h"

/*
 * Writing a submission trusts its caller; reading one trusts nothing, bounds
 * every part by the bytes that are there and copies no name. What is inside a
 * packed draft or account is draft.h's business.
 */
#include <errno.h>

#include <msgpack.h>

#include "common/msgpack_reader.h"

void submission_begin(struct buffer *out, enum submission_kind kind, uint32_t count, uint64_t request_id,
                      uint64_t arbiter_epoch)
{
    struct submission_head head = {
        .kind = kind,
        .count = count,
        .request_id = request_id,
        .arbiter_epoch = arbiter_epoch,
    };
    STAGE_MARK(head.stages, STAGE_BEGUN);
    buffer_clear(out);
    buffer_append(out, &head, sizeof head);
}

static void add_book(struct buffer *out, struct bytes book)
{
    msgpack_packer pk;
    msgpack_packer_init(&pk, out, buffer_msgpack_write);
    msgpack_pack_str(&pk, book.len);
    msgpack_pack_str_body(&pk, book.base, book.len);
}

void submission_add_draft(struct buffer *out, const struct draft *draft)
{
    add_book(out, draft->book);
    draft_pack_body(out, draft);
}

void submission_add_asset(struct buffer *out, const struct asset_definition *asset)
{
    asset_definition_pack(out, asset);
}

void submission_add_account(struct buffer *out, const struct account_definition *account)
{
    add_book(out, account->book);
    account_definition_pack(out, account);
}

int submission_read_head(struct bytes message, struct submission_head *head, struct bytes *rest)
{
    if (message.len < sizeof *head)
        return EBADMSG;
    memcpy(head, message.base, sizeof *head);
    if (head->kind < SUBMISSION_POST || head->kind > SUBMISSION_ACCOUNT)
        return EBADMSG;
    *rest = bytes_of(message.base + sizeof *head, message.len - sizeof *head);
    return 0;
}

int submission_read_booked(struct bytes *rest, struct bytes *book, struct bytes *packed)
{
    struct msgpack_reader r = msgpack_reader_of(*rest);
    *book = msgpack_read_str(&r);
    const uint8_t *begin = r.at;
    msgpack_skip(&r);
    if (!msgpack_reader_ok(&r))
        return EBADMSG;
    *packed = bytes_of(begin, (size_t)(r.at - begin));
    *rest = bytes_of(r.at, (size_t)(r.end - r.at));
    return 0;
}
