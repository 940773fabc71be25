#ifndef TALEA_CLIENT_COMMANDS_H
#define TALEA_CLIENT_COMMANDS_H
/* The one table of commands and their flags. */
#include "common/command_line.h"

extern const struct program program;

#endif
