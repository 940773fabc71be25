#ifndef TALEA_BENCH_PROOF_H
#define TALEA_BENCH_PROOF_H
/*
 * Compares a ledger's events with what it had answered: an acknowledged draft
 * must be there under its seq, once and as it was sent; one whose outcome is
 * unknown once or not at all; a refused one not at all. Knows no network: the
 * caller brings the events, book by book, from behind the book's first mark on.
 *
 * Several books may be read at once, by a thread each: a draft is one book's.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/bench/event_facts.h"
#include "tests/bench/outcomes.h"
#include "tests/bench/plan.h"

#define FAULT_MAX 300

__extension__ typedef unsigned __int128 sum_t;

struct proof {
    struct plan plan;
    struct outcomes *outcomes; /* of each thread; the proof overwrites them with what it has seen */
    unsigned threads;
};

/* One book's; all zero but for the first three. */
struct book_proof {
    uint32_t book;
    uint64_t last_seq; /* that was read, the first mark's at the beginning */
    uint64_t end_seq;  /* the second mark's */
    bool is_over;      /* it was read */
    uint64_t events, keys; /* all events; those that are the run's, marks left out */
    uint64_t foreign;      /* transactions of others */
    sum_t own_minor;       /* what the run's debits are, the second mark's with them */
    char fault[FAULT_MAX]; /* empty: none */
};

/* The next event. False: it must not be so, see fault. */
bool proof_take(const struct proof *proof, struct book_proof *book, const struct event_facts *event);

/* An event as it was sent. */
bool proof_take_text(const struct proof *proof, struct book_proof *book, const char *data, size_t length);

/*
 * When all books were read: is there any acknowledged draft without its event?
 * False, with one line in `fault`. Adds the amounts of unknown drafts that were
 * not met, by book, to `unmet` (plan.books of them): a request may come true
 * behind the second mark.
 */
bool proof_nothing_is_missing(const struct proof *proof, sum_t *unmet, char fault[static FAULT_MAX]);

/* Sums of all debits and credits in the run's asset, as a trial balance says. */
struct trial_balance {
    sum_t debits, credits;
};

/* False with a fault: the text is none, or an asset's debits are not its credits. */
bool trial_balance_read(const char *text, struct trial_balance *out, char fault[static FAULT_MAX]);

/* Did the sums grow by what the events say? With transactions of others: by no less. */
bool proof_sums_agree(struct book_proof *book, const struct trial_balance *before, const struct trial_balance *after,
                      sum_t unmet);

#endif
