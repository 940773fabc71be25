#ifndef TALEA_BENCH_OWN_TALEAD_H
#define TALEA_BENCH_OWN_TALEAD_H
/*
 * A talead that is started for a run and ended with it, on a ledger of its own.
 * It is handed a listening socket on loopback, so its port is free for certain
 * and requests may wait for it while it starts. It ends with this program,
 * however that ends; a signal from the terminal does not reach it.
 */
#include <sys/types.h>

#include "tests/bench/options.h"
#include "tests/bench/target.h"

struct own_talead {
    pid_t pid;       /* 0: none */
    char home[4096]; /* holds ledger/ and what talead says, talead.log */
    bool keep;
};

/* Starts it and waits until it serves; `target` is it then. 0, or an errno, said; stop it in any case. */
int own_talead_start(struct own_talead *talead, const struct options *options, struct target *target)
    __attribute__((warn_unused_result));

/* Ends it as an operator would, and removes its ledger unless that is to be kept. False: it did not end well, said. */
bool own_talead_stop(struct own_talead *talead);

#endif
