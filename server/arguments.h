#ifndef TALEA_SERVER_ARGUMENTS_H
#define TALEA_SERVER_ARGUMENTS_H
/* The command line of talead's commands. */
#include <stdbool.h>

/*
 * Is argv[*i] the option `name` with a value, as `--name VALUE` or
 * `--name=VALUE`? Then it is taken, and *i moves over it. False also when the
 * value is missing.
 */
bool argument_value(int argc, char **argv, int *i, const char *name, const char **value);

#endif
