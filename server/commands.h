#ifndef TALEA_SERVER_COMMANDS_H
#define TALEA_SERVER_COMMANDS_H
/*
 * The one table of talead's commands: a row for each, and a function that the
 * row names and that gets what was given, checked against the row. Parsing,
 * help and completions come from it; talead(8) is checked against it.
 */
#include "common/command_line.h"

extern const struct program program;

#endif
