#ifndef TALEA_SERVER_INIT_H
#define TALEA_SERVER_INIT_H
/* talead init: makes a ledger, a token and .env, applies the seed file. Returns an exit status. */
#include "common/command_line.h"

int init_command(const struct arguments *arguments);

#endif
