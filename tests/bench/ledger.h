#ifndef TALEA_BENCH_LEDGER_H
#define TALEA_BENCH_LEDGER_H
/*
 * What is done to the ledger around what is measured: asset and accounts are
 * made, books are filled as far as a scenario needs, and afterwards their
 * events are read back.
 */
#include "tests/bench/engine.h"
#include "tests/bench/options.h"
#include "tests/bench/proof.h"

#define TX_ID_LEN 36
#define SAMPLES_MAX 256

/* What reads ask for, of one book. */
struct samples {
    int64_t from_us, to_us; /* the times of so many events back, and of a tenth less */
    uint32_t count;
    char tx_ids[SAMPLES_MAX][TX_ID_LEN + 1];
};

struct ledger {
    struct engine *engine;
    uint32_t books, accounts;
    struct book_ends {
        uint64_t first_seq; /* the first mark's */
        uint64_t head_seq;  /* the greatest one that was acknowledged, when last looked for */
        struct trial_balance before;
    } *ends;
    struct samples *samples; /* NULL: none were taken */
};

struct verified {
    uint64_t keys, events;
};

/* Each: 0; or an errno, said. */
int ledger_prepare(struct ledger *ledger, struct engine *engine, uint32_t books, uint32_t accounts,
                   uint32_t connections) __attribute__((warn_unused_result));

/* Posts until each book has so many events, about; looks for the heads. */
int ledger_deepen(struct ledger *ledger, uint64_t events, uint32_t connections) __attribute__((warn_unused_result));

/* Looks through what was acknowledged so far. */
void ledger_find_heads(struct ledger *ledger);

/* Takes a time and transactions from each book, so many events back from its head, or from seq 1. */
int ledger_sample(struct ledger *ledger, uint64_t events) __attribute__((warn_unused_result));

/* Reads the books and compares. EBADMSG: they do not agree. Call it once, when nothing is under way. */
int ledger_verify(struct ledger *ledger, struct verified *verified) __attribute__((warn_unused_result));

void ledger_free(struct ledger *ledger);

#endif
