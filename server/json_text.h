#ifndef TALEA_SERVER_JSON_TEXT_H
#define TALEA_SERVER_JSON_TEXT_H
/*
 * Writing JSON into a buffer, piece by piece, on yajl_gen. The caller keeps
 * the structure right (a wrong one is a bug and asserts).
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/decimal.h"

struct json_text;

/* Writes to `out`, which the caller owns. */
struct json_text *json_text_create(struct buffer *out);
void json_text_destroy(struct json_text **j);
void json_text_restart(struct json_text *j, struct buffer *out); /* for the next document; keeps the memory */

void json_open_object(struct json_text *j);
void json_close_object(struct json_text *j);
void json_open_array(struct json_text *j);
void json_close_array(struct json_text *j);
void json_key(struct json_text *j, const char *key);
void json_string(struct json_text *j, struct bytes s); /* s is UTF-8 */
void json_cstring(struct json_text *j, const char *s);
void json_field(struct json_text *j, const char *key, struct bytes value); /* a key and its string */
void json_integer(struct json_text *j, int64_t n);
void json_unsigned(struct json_text *j, u128 n);
void json_number(struct json_text *j, double n, int decimals); /* finite; so many digits behind the point, at most 9 */
void json_bool(struct json_text *j, bool b);
void json_null(struct json_text *j);
/* JSON text of our own making, without white space. */
void json_ready(struct json_text *j, struct bytes json);
/* JSON text that is already valid, as it is, but for CR and LF between its tokens, which become spaces. */
void json_verbatim(struct json_text *j, struct bytes json);

#endif
