#ifndef TALEA_SERVER_FIND_LEDGER_H
#define TALEA_SERVER_FIND_LEDGER_H

/*
 * The directory of the ledger that a command is about: of --db-url, else as
 * talead serve would find it, by environment, .env and the file of --config.
 * Each may be NULL. 0 with a string to free; or EINVAL after one line on stderr.
 */
int find_ledger(const char *db_url, const char *config, char **data_dir) __attribute__((warn_unused_result));

#endif
