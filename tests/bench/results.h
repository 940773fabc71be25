#ifndef TALEA_BENCH_RESULTS_H
#define TALEA_BENCH_RESULTS_H
/* What a run came to, for people or as one line of JSON (talea-bench(1), JSON). */
#include "tests/bench/engine.h"
#include "tests/bench/ledger.h"
#include "tests/bench/options.h"

struct results {
    const struct options *options;
    const char *url;
    double rate; /* that was offered; 0: closed loop */
    double seconds, cpu_s;
    struct tally tally;
    struct histogram *delays; /* of events; NULL: there were no streams */
    bool is_verified;
    struct verified verified;
};

void results_print(const struct results *results);

#endif
