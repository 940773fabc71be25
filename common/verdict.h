#ifndef TALEA_COMMON_VERDICT_H
#define TALEA_COMMON_VERDICT_H
/*
 * What the ledger says to one draft. The rules (ledger.h) fill it in, the
 * arbiter sends it over the completion ring, and a worker words it for the
 * client. Of fixed size: names are not carried, the worker still has the
 * draft and finds them by the posting's number.
 */
#include <stdint.h>

#include "common/uuid7.h"

enum verdict_code {
    VERDICT_POSTED = 1,           /* seq, at_us, tx_id, deduplicated */
    VERDICT_DONE = 2,             /* an asset or account is registered, now or before */
    VERDICT_INVALID_DRAFT = 3,    /* reason */
    VERDICT_UNBALANCED = 4,       /* posting: the first of the asset; a: debits, b: credits */
    VERDICT_INVALID_AMOUNT = 5,   /* a: the amount */
    VERDICT_ASSET_MISMATCH = 6,   /* posting; asset_no: the account's asset */
    VERDICT_UNKNOWN_ASSET = 7,
    VERDICT_UNKNOWN_ACCOUNT = 8,  /* posting */
    VERDICT_ALREADY_EXISTS = 9,
    VERDICT_CONSTRAINT = 10,      /* posting: the first of the account; a: min_balance, b: would_be */
    VERDICT_OVERLOADED = 11,      /* that book's write queue is full: 429 */
    VERDICT_UNAVAILABLE = 12,     /* not decided, or the outcome is unknown: 503, the same key tells */
    VERDICT_INTERNAL = 13,        /* the arbiter could not read what the worker sent */
};
#define VERDICT_CODE_COUNT 14

enum invalid_reason {
    INVALID_NONE = 0,
    INVALID_BOOK_EMPTY,
    INVALID_BOOK_RESERVED,
    INVALID_KEY_EMPTY,
    INVALID_POSTINGS_EMPTY,
    INVALID_POSTING_ACCOUNT_EMPTY,
    INVALID_ASSET_ID_EMPTY,
    INVALID_ASSET_FIAT_NETWORK,
    INVALID_ASSET_CRYPTO_NETWORK,
    INVALID_PATH_EMPTY,
    INVALID_POSTINGS_TOO_MANY,
};
#define INVALID_REASON_COUNT 11

struct verdict {
    uint8_t code;   /* enum verdict_code */
    uint8_t reason; /* enum invalid_reason */
    uint8_t deduplicated;
    uint8_t reserved;
    uint32_t posting;  /* index into the draft's postings */
    uint32_t asset_no; /* index row number, see index_schema.h */
    uint32_t reserved2;
    int64_t a;
    int64_t b;
    uint64_t seq;
    int64_t at_us;
    struct uuid tx_id;
};
_Static_assert(sizeof(struct verdict) == 64, "struct verdict crosses the process border");

/* The `field` and `reason` of an invalid_draft answer. A number that is none gives "body" and a plain reason. */
void invalid_reason_words(uint8_t reason, const char **field, const char **text);

#endif
