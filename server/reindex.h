#ifndef TALEA_SERVER_REINDEX_H
#define TALEA_SERVER_REINDEX_H
/* `talead reindex DIR`: builds index and spilled idempotency keys anew, from the log alone. An exit status. */
#include "common/command_line.h"

int reindex_command(const struct arguments *arguments);

#endif
