#ifndef TALEA_COMMON_COMMAND_HELP_H
#define TALEA_COMMON_COMMAND_HELP_H
/* Help texts, from a program's table of commands. */
#include <stdio.h>

#include "common/command_line.h"

void help_print_overview(const struct program *program, FILE *out);

/* Prints every command that begins with `first` (and goes on with `second`, unless NULL). False: none. */
bool help_print_commands(const struct program *program, const char *first, const char *second);

#endif
