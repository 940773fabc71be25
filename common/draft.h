#ifndef TALEA_COMMON_DRAFT_H
#define TALEA_COMMON_DRAFT_H
/*
 * What a client asks the ledger to write, and its MessagePack form. A worker
 * decodes JSON into these structs and packs them; the arbiter unpacks what
 * came over the ring; the packed body of a transaction is stored in the log as
 * the worker made it and unpacked again by whoever shows it.
 *
 * Packed transaction body: [idempotency_key str, postings [[account str,
 * minor int, asset str, direction int]...], external_refs [[kind str, value
 * str]...], metadata bin (JSON text as sent) or nil, occurred_at [seconds int,
 * nanos int] or nil]. The book stands outside of it.
 * Packed asset: [id str, class int, network str or nil, native_id str or nil, precision int, name str].
 * Packed account: [path str, asset str, kind int, normal_side int, min_balance int or nil]; the book outside.
 *
 * Unpacking trusts nothing: counts are checked against the bytes that are
 * there before anything is allocated, types and ranges are checked, bytes left
 * over are an error. The slices of an unpacked struct point into the input,
 * its arrays live in the arena.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/buffer.h"
#include "common/bytes.h"
#include "common/rfc3339.h"

enum direction { DIRECTION_DEBIT = 0, DIRECTION_CREDIT = 1 };
enum asset_class { ASSET_CLASS_FIAT = 1, ASSET_CLASS_CRYPTO = 2 };
enum normal_side { NORMAL_SIDE_NONE = 0, NORMAL_SIDE_DEBIT = 1, NORMAL_SIDE_CREDIT = 2 };
enum account_kind {
    ACCOUNT_KIND_ASSET = 1,
    ACCOUNT_KIND_LIABILITY = 2,
    ACCOUNT_KIND_INCOME = 3,
    ACCOUNT_KIND_EXPENSE = 4,
    ACCOUNT_KIND_EQUITY = 5,
    ACCOUNT_KIND_CLEARING = 6,
};

struct posting {
    struct bytes account; /* path within the draft's book */
    struct bytes asset;
    int64_t minor; /* as drafted; > 0 once the rules have passed it */
    enum direction direction;
};

struct external_ref {
    struct bytes kind;
    struct bytes value;
};

struct draft {
    struct bytes book;
    struct bytes idempotency_key;
    const struct posting *postings;
    uint32_t posting_count;
    const struct external_ref *external_refs;
    uint32_t external_ref_count;
    struct bytes metadata; /* JSON text; base NULL: absent, which reads as null */
    bool has_occurred_at;
    struct timestamp occurred_at;
};

struct asset_definition {
    struct bytes id;
    enum asset_class class;
    bool has_network;
    bool has_native_id;
    struct bytes network;
    struct bytes native_id;
    uint8_t precision;
    struct bytes name;
};

struct account_definition {
    struct bytes book;
    struct bytes path;
    struct bytes asset;
    enum account_kind kind;
    enum normal_side normal_side;
    bool has_min_balance;
    int64_t min_balance;
};

/* The words of the wire contract; NULL for a number that is none. */
const char *account_kind_word(enum account_kind kind);
const char *direction_word(enum direction direction);
const char *normal_side_word(enum normal_side side); /* NULL for none, too */
/* 0 when `word` is none. */
enum account_kind account_kind_of_word(struct bytes word);
enum normal_side normal_side_of_word(struct bytes word);

void draft_pack_body(struct buffer *out, const struct draft *draft);
void asset_definition_pack(struct buffer *out, const struct asset_definition *asset);
void account_definition_pack(struct buffer *out, const struct account_definition *account);

/*
 * 0, or EBADMSG when the bytes are not exactly one well-formed value. `book`
 * of a draft or account is left alone: the caller sets it.
 */
int draft_unpack_body(struct bytes packed, struct arena *arena, struct draft *out) __attribute__((warn_unused_result));
/* How many postings a packed transaction body says it has; 0 when that cannot be read. Looks no further. */
uint32_t draft_packed_posting_count(struct bytes packed);
int asset_definition_unpack(struct bytes packed, struct asset_definition *out) __attribute__((warn_unused_result));
int account_definition_unpack(struct bytes packed, struct account_definition *out)
    __attribute__((warn_unused_result));

#endif
