#ifndef TALEA_SERVER_FIND_LEDGER_H
#define TALEA_SERVER_FIND_LEDGER_H
/*
 * Which ledger a command is about, for every command whose row in the table
 * has LEDGER_FLAGS: that of --db-url, else the one that `talead serve` would
 * serve, by the environment, .env in the working directory, or the file of
 * --config. What is wrong has been said in one line, on standard error.
 */
#include "common/command_line.h"
#include "common/settings.h"

#define LEDGER_FLAGS                                                                               \
    {.name = "--db-url", .metavar = "URL", .help = "the ledger, log://DIR, in place of TALEA_DB_URL"}, \
    {                                                                                              \
        .name = "--config", .metavar = "FILE", .help = "YAML file of settings"                     \
    }

/* 0, or EINVAL. No setting but the ledger's place is looked at when --db-url names it. The string is to be freed. */
int find_ledger(const struct arguments *arguments, char **data_dir) __attribute__((warn_unused_result));

#endif
