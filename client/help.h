#ifndef TALEA_CLIENT_HELP_H
#define TALEA_CLIENT_HELP_H
/* Help texts, from the table of commands. */
#include <stdbool.h>
#include <stdio.h>

void help_print_overview(FILE *out);

/* Prints every command that begins with `first` (and goes on with `second`, unless NULL). False: none. */
bool help_print_commands(const char *first, const char *second);

#endif
