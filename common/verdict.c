#include "common/verdict.h"

/* The words are the wire contract's; clients compare them. */
void invalid_reason_words(uint8_t reason, const char **field, const char **text)
{
    static const char empty[] = "must not be empty";
    static const struct {
        const char *field, *text;
    } words[INVALID_REASON_COUNT] = {
        [INVALID_NONE] = {"body", "refused"},
        [INVALID_BOOK_EMPTY] = {"book", empty},
        [INVALID_BOOK_RESERVED] = {"book", "names starting with '_' are reserved"},
        [INVALID_KEY_EMPTY] = {"idempotency_key", empty},
        [INVALID_POSTINGS_EMPTY] = {"postings", empty},
        [INVALID_POSTING_ACCOUNT_EMPTY] = {"postings.account", empty},
        [INVALID_ASSET_ID_EMPTY] = {"id", empty},
        [INVALID_ASSET_FIAT_NETWORK] = {"network", "fiat assets have no network or native_id"},
        [INVALID_ASSET_CRYPTO_NETWORK] = {"network", "crypto assets require a network"},
        [INVALID_PATH_EMPTY] = {"path", empty},
        [INVALID_POSTINGS_TOO_MANY] = {"postings", "too many for so long a book name: together they pass 16 MiB"},
    };
    unsigned i = reason < INVALID_REASON_COUNT ? reason : INVALID_NONE;
    *field = words[i].field;
    *text = words[i].text;
}
