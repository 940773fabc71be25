#ifndef TALEA_COMMON_DOTENV_H
#define TALEA_COMMON_DOTENV_H
/*
 * `.env` files: lines of NAME=value, blank lines, `#` comments, an optional
 * `export ` in front, values bare (to the end of the line, spaces around cut,
 * ` #` begins a comment), in single quotes (literal) or in double quotes
 * (\n \" \\ escapes). Nothing is expanded and nothing enters the environment.
 */
#include <stddef.h>

#include "common/complaints.h"

struct dotenv;

/* 0; ENOENT when there is none (*out is an empty set then); EINVAL with one line in `error`: `.env:3: ...`, which never shows a value. */
int dotenv_read(const char *path, struct dotenv **out, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* The same with every fault; *out holds what could be read, whatever was wrong. Returns 0 or ENOENT. */
int dotenv_read_all(const char *path, struct dotenv **out, struct complaints *complaints)
    __attribute__((warn_unused_result));
void dotenv_destroy(struct dotenv **env);

/* The value, or NULL; owned by the set. */
const char *dotenv_get(const struct dotenv *env, const char *name);

/* The number of the line that sets it, from 1; 0: none does. */
int dotenv_line(const struct dotenv *env, const char *name);

#endif
