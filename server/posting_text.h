#ifndef TALEA_SERVER_POSTING_TEXT_H
#define TALEA_SERVER_POSTING_TEXT_H
/*
 * One posting as history and transactions show it. A page of history is a
 * thousand of these at most, of one account: its names are escaped once, and
 * all else of a posting is a fixed form. For a worker.
 */
#include <stdint.h>

#include "common/draft.h"
#include "server/json_text.h"

/* What postings of one account have in common, as JSON. Zero-initialised it is empty; release with posting_text_free. */
struct posting_text {
    struct buffer account; /* its key, quoted */
    struct buffer asset;   /* its id, quoted */
    struct buffer scratch;
};

struct posting_item {
    uint64_t seq;
    struct bytes tx_id; /* as text, and so is at */
    struct bytes at;
    int64_t minor;
    enum direction direction;
};

/* For another account from now on. */
void posting_text_begin(struct posting_text *text, struct bytes account_key, struct bytes asset);
void posting_text_free(struct posting_text *text);

/* As a value of what `j` is writing. */
void posting_text_write(struct posting_text *text, const struct posting_item *item, struct json_text *j);

#endif
