#ifndef TALEA_CLIENT_JSON_TEXT_H
#define TALEA_CLIENT_JSON_TEXT_H
/* JSON as text, on yajl: a number is never read into anything but its own digits. */
#include <stdbool.h>
#include <stddef.h>

#include "client/text.h"

/* Appends `json` indented by two spaces, with a newline at the end; nothing, and false, when it is none. */
bool json_indent(struct text *out, const char *json, size_t length);

/* Is it one JSON value and nothing else? */
bool json_is_valid(const char *json, size_t length);

/* Appends bytes as a JSON string, quotes and all. */
void json_add_string(struct text *out, const char *s, size_t length);

#endif
