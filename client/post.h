#ifndef TALEA_CLIENT_POST_H
#define TALEA_CLIENT_POST_H
#include <stdbool.h>

#include "common/command_line.h"
#include "client/text.h"

/*
 * Appends the body of `talea post`: the draft file, if one is given, with what
 * the flags say in it. False with one line on stderr.
 */
bool post_build(const struct arguments *arguments, struct text *out);

#endif
