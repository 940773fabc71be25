#ifndef TALEA_CLIENT_COMPLETIONS_H
#define TALEA_CLIENT_COMPLETIONS_H
#include <stdbool.h>

/* Prints the completion script for bash, zsh or fish, from the table of commands. False for another shell. */
bool completions_print(const char *shell);

#endif
