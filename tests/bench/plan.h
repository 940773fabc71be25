#ifndef TALEA_BENCH_PLAN_H
#define TALEA_BENCH_PLAN_H
/*
 * What a run posts. Every draft follows from the run's number and the draft's
 * own, its id: book, accounts, amount and idempotency key. So nothing of a
 * draft need be kept to know later whether the ledger holds it unchanged.
 *
 * Ids of a thread count up from plan_first_id. A mark is a draft of its own, one
 * before and one after all others of a book: events between the two are those
 * that can be the run's.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLAN_THREADS_MAX 16
#define PLAN_BOOKS_MAX 100000
#define PLAN_ACCOUNTS_MAX 10000000
#define PLAN_ASSET "USD"

/* Names are of one length each, so that a request is written over a form. No NUL. */
#define PLAN_BOOK_LEN 11    /* bench-00000 */
#define PLAN_ACCOUNT_LEN 8  /* a0000000 */
#define PLAN_KEY_LEN 23     /* the run's number and the id, in hexadecimal */
#define PLAN_MINOR_LEN 3
#define PLAN_COUNTER_BITS 35
#define PLAN_COUNTER_MASK ((UINT64_C(1) << PLAN_COUNTER_BITS) - 1)

enum plan_mark { PLAN_MARK_BEFORE, PLAN_MARK_AFTER };

struct plan {
    uint64_t run; /* 48 bits, at random */
    uint32_t books, accounts; /* accounts: of each book, 2 at least */
};

struct planned_draft {
    uint32_t book, debit, credit, minor;
};

void plan_draft(const struct plan *plan, uint64_t id, struct planned_draft *out);
uint64_t plan_first_id(unsigned thread);
unsigned plan_thread_of(uint64_t id);
uint64_t plan_mark_id(uint32_t book, enum plan_mark mark);
bool plan_is_mark(uint64_t id);

void plan_write_book(char *out, uint32_t book);
void plan_write_account(char *out, uint32_t account);
void plan_write_minor(char *out, uint32_t minor);
void plan_write_key(char *out, const struct plan *plan, uint64_t id);

/* False: it is no key of this run. */
bool plan_read_key(const struct plan *plan, const char *text, size_t length, uint64_t *id);

/* A well-mixed number out of any. */
uint64_t plan_mix(uint64_t number);

#endif
