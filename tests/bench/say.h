#ifndef TALEA_BENCH_SAY_H
#define TALEA_BENCH_SAY_H
/* Exit statuses of talea-bench, documented in talea-bench(1), and how it says what went wrong. */

#include <signal.h>
#include <stddef.h>

#define STATUS_DONE 0
#define STATUS_WRONG 1 /* the ledger's answers and its contents disagree, or an answer was none to expect */
#define STATUS_USAGE 2
#define STATUS_FAILED 3 /* no server, or one that could not be used: nothing was measured */

/* Set by a signal: everything ends soon. */
extern volatile sig_atomic_t interrupted;

/* One line on stderr, `talea-bench: ...`. Never pass a token. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* calloc that ends the program when there is no memory. */
void *need(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
/* realloc of that kind. */
void *need_more(void *old, size_t bytes) __attribute__((returns_nonnull));

#endif
