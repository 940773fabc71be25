#include "common/index_schema.h"

/* Keys of the index's tables. Values are the structs of the header, stored as they are. */
#include <endian.h>
#include <errno.h>
#include <string.h>

_Static_assert(__BYTE_ORDER == __LITTLE_ENDIAN, "the index's values are little-endian structs");

const char *const index_table_names[INDEX_TABLE_COUNT] = {
    [TABLE_META] = "meta",
    [TABLE_ASSETS] = "assets",
    [TABLE_ASSET_BY_NO] = "asset_by_no",
    [TABLE_BOOKS] = "books",
    [TABLE_BOOK_BY_NO] = "book_by_no",
    [TABLE_ACCOUNTS] = "accounts",
    [TABLE_POSTINGS] = "postings",
    [TABLE_EVENTS] = "events",
    [TABLE_TRANSACTIONS] = "transactions",
    [TABLE_SUMS] = "sums",
};

int index_meta_check(const struct index_meta *meta, struct uuid ledger)
{
    if (meta->version != INDEX_VERSION)
        return EPROTO;
    return memcmp(&meta->ledger, &ledger, sizeof ledger) == 0 ? 0 : EUCLEAN;
}

const char *index_error_text(int error)
{
    switch (error) {
    case EPROTO:
        return "another version of talead made it";
    case EUCLEAN:
        return "it is another ledger's";
    case EBADMSG:
        return "it is damaged";
    default:
        return strerror(error);
    }
}

#define NAME_KEY_PLAIN_MAX (NAME_KEY_MAX - 1)

size_t name_key(struct bytes name, uint8_t out[static NAME_KEY_MAX])
{
    if (name.len <= NAME_KEY_PLAIN_MAX) {
        out[0] = 0;
        if (name.len)
            memcpy(out + 1, name.base, name.len);
        return 1 + name.len;
    }
    struct sha256 digest = sha256_of(&name, 1);
    out[0] = 1;
    memcpy(out + 1, digest.octets, SHA256_SIZE);
    return 1 + SHA256_SIZE;
}

static void put_key_u32(uint8_t *p, uint32_t v)
{
    v = htobe32(v);
    memcpy(p, &v, sizeof v);
}

static void put_key_u64(uint8_t *p, uint64_t v)
{
    v = htobe64(v);
    memcpy(p, &v, sizeof v);
}

uint32_t key_u32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return be32toh(v);
}

uint64_t key_u64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return be64toh(v);
}

size_t number_key(uint32_t number, uint8_t out[static 4])
{
    put_key_u32(out, number);
    return 4;
}

size_t account_table_key(uint32_t book_no, struct bytes path, uint8_t out[static 4 + NAME_KEY_MAX])
{
    put_key_u32(out, book_no);
    return 4 + name_key(path, out + 4);
}

size_t posting_table_key(uint64_t account_no, uint64_t seq, uint8_t out[static 16])
{
    put_key_u64(out, account_no);
    put_key_u64(out + 8, seq);
    return 16;
}

size_t event_table_key(uint32_t book_no, uint64_t seq, uint8_t out[static 12])
{
    put_key_u32(out, book_no);
    put_key_u64(out + 4, seq);
    return 12;
}

size_t sum_table_key(uint32_t book_no, uint32_t asset_no, uint8_t out[static 8])
{
    put_key_u32(out, book_no);
    put_key_u32(out + 4, asset_no);
    return 8;
}
