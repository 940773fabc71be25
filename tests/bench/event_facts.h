#ifndef TALEA_BENCH_EVENT_FACTS_H
#define TALEA_BENCH_EVENT_FACTS_H
/*
 * What an event of the stream says, found by one pass over its JSON, whatever
 * the order of its members. Strings are as they were sent, escapes and all:
 * names of this program have none.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct piece {
    const char *base;
    size_t length;
};

struct posting_facts {
    struct piece book, account, asset, direction;
    uint64_t minor;
};

#define POSTINGS_KEPT 2

struct event_facts {
    uint64_t seq;
    struct piece at, kind, key, tx_id;
    uint32_t posting_count; /* of all; the first ones are kept */
    struct posting_facts postings[POSTINGS_KEPT];
};

/* False: it is no whole JSON object. */
bool event_facts_read(const char *data, size_t length, struct event_facts *out);

bool piece_is(struct piece piece, const char *word);

#endif
