#ifndef TALEA_BENCH_OPTIONS_H
#define TALEA_BENCH_OPTIONS_H
/* What the command line asks for. */
#include <stdbool.h>
#include <stdint.h>

#include "common/command_line.h"

#define SETS_MAX 64

enum scenario {
    SCENARIO_POST,
    SCENARIO_BOOKS,
    SCENARIO_BATCH,
    SCENARIO_BALANCE,
    SCENARIO_AS_OF,
    SCENARIO_HISTORY,
    SCENARIO_READ,
    SCENARIO_MIXED,
    SCENARIO_REPLAY,
    SCENARIO_OVERLOAD,
    SCENARIO_TAIL,
    SCENARIO_EMPTY,
    SCENARIO_FILL,
    SCENARIO_COUNT
};

struct options {
    enum scenario scenario;
    const char *name; /* the scenario's */
    const char *url, *token_file; /* NULL url: a talead of its own */
    const char *talead, *dir, *path;
    const char *set[SETS_MAX + 1]; /* NAME=VALUE; ends with NULL */
    uint32_t connections, books, accounts, batch, threads, subscribers;
    uint64_t events;
    double rate, seconds, warmup_s; /* rate 0: closed loop */
    bool json, keep, bare, no_verify;
};

/*
 * COMMAND_LINE_GO_ON with *options filled, or an exit status with what there is to say said. What was given
 * lies in the other two, to be freed when the options are no longer needed.
 */
int options_read(int argc, char **argv, struct options *options, struct arguments *arguments,
                 struct arguments *globals) __attribute__((warn_unused_result));

#endif
