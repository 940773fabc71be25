#ifndef TALEA_CLIENT_JSON_H
#define TALEA_CLIENT_JSON_H
/* JSON as text, on yajl: nothing here reads a number into anything but its own digits. */
#include <stdbool.h>
#include <stddef.h>

#include "client/text.h"

/* Indented by two spaces, with a newline at the end. False when `json` is none. */
bool json_indent(struct text *out, const char *json, size_t length);

/* Is it one JSON value and nothing else? */
bool json_is_valid(const char *json, size_t length);

/* Appends `s` as a JSON string, quotes and all. */
void json_add_string(struct text *out, const char *s);

/*
 * The members of a JSON object, as slices of its text: name (still as written
 * between its quotes, escapes undone) and value. False when it is no object.
 */
struct json_member {
    char *name;        /* free with json_members_free */
    const char *value; /* within the text given */
    size_t value_len;
};
bool json_members(const char *json, size_t length, struct json_member **members, size_t *count);
void json_members_free(struct json_member *members, size_t count);

#endif
