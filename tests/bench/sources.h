#ifndef TALEA_BENCH_SOURCES_H
#define TALEA_BENCH_SOURCES_H
/* What is asked in each scenario, and what is made of the answers. The engine's context is a struct ledger. */
#include "tests/bench/engine.h"

extern const struct source source_accounts; /* until all are open: those that are refused are asked for again */
extern const struct source source_fill;     /* batches, until the goal of drafts is acknowledged */
extern const struct source source_post, source_batch, source_replay;
extern const struct source source_balance, source_as_of, source_history, source_read, source_mixed;
extern const struct source source_empty; /* the engine's context is the path */

#endif
