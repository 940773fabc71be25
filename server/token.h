#ifndef TALEA_SERVER_TOKEN_H
#define TALEA_SERVER_TOKEN_H
/* talead token: a new random token, alone or as an entry for the tokens file. */
#include "common/command_line.h"

int token_command(const struct arguments *arguments); /* an exit status */

#endif
