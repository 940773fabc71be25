#ifndef TALEA_SERVER_RELOAD_H
#define TALEA_SERVER_RELOAD_H
/*
 * New settings and tokens while talead serves: read whole, then put in the
 * place of the old; a fault changes nothing. Workers that were started with
 * the old ones are replaced (worker_set.h), so what a removed token opened ends.
 */
#include "common/buffer.h"
#include "common/settings.h"
#include "server/tokens.h"

struct master;

/*
 * Appends to `answer` what was done, or why nothing was; logs it as well.
 * Also names settings that were changed and that only a restart takes. 0 or EINVAL.
 */
int reload(struct master *master, struct buffer *answer);

/* Reads settings and tokens as the environment of the start and the files say. */
int load_settings(struct master *master, struct settings *settings, struct tokens **tokens, char *error,
                  size_t error_size);

/* In a child, which never reads settings again; and at the end. */
void forget_environment_token(struct master *master);

#endif
