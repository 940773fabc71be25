#ifndef TALEA_BENCH_SCENARIOS_H
#define TALEA_BENCH_SCENARIOS_H
/* What each scenario does: what the ledger is made to hold, what is measured, what is proved. */
#include "tests/bench/options.h"
#include "tests/bench/target.h"

/* Runs one on a server that serves, and prints what came of it. An exit status. */
int scenario_run(const struct options *options, const struct target *target);

#endif
