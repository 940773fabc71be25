#ifndef TALEA_SERVER_SEED_H
#define TALEA_SERVER_SEED_H
/*
 * Seed files: assets and accounts that a new ledger begins with (YAML; contract
 * in talead(8)). A file is checked whole, with file, line and entry in every
 * message, before anything of it is written. Applying it twice changes nothing.
 */
#include <stddef.h>

struct seed;
struct offline_ledger;

struct seed_figures {
    unsigned assets_created, assets_present, accounts_ensured;
};

/* 0; ENOENT when there is no such file; EINVAL with one line in `error`. */
int seed_read(const char *path, struct seed **out, char *error, size_t error_size) __attribute__((warn_unused_result));
void seed_destroy(struct seed **seed);

/* 0, or EINVAL with one line in `error`: a definition that conflicts, an asset nobody knows. */
int seed_apply(const struct seed *seed, struct offline_ledger *ledger, struct seed_figures *figures, char *error,
               size_t error_size) __attribute__((warn_unused_result));

#endif
