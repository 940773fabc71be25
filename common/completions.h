#ifndef TALEA_COMMON_COMPLETIONS_H
#define TALEA_COMMON_COMPLETIONS_H
#include "common/command_line.h"

#define COMPLETIONS_SHELLS "bash zsh fish"

/* Prints the completion script for a shell, from the program's table of commands. False for any other shell. */
bool completions_print(const struct program *program, const char *shell);

#endif
