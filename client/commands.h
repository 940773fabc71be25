#ifndef TALEA_CLIENT_COMMANDS_H
#define TALEA_CLIENT_COMMANDS_H
/* The one table of commands and their flags. */
#include "client/options.h"

extern const struct command commands[];
extern const size_t command_count;
extern const struct flag global_flags[]; /* before or after the command; ends with a NULL name */

#endif
