#ifndef TALEA_SERVER_JSON_SHAPE_H
#define TALEA_SERVER_JSON_SHAPE_H
/*
 * Strict JSON read into C structs, after tables that say which fields an
 * object has and where their values go. Knows nothing of drafts.
 *
 * Strict: valid UTF-8, no byte order mark, no comments, no lone surrogates,
 * nesting up to JSON_DEPTH_MAX, one document and nothing behind it. Fields
 * that no table knows are passed over; a known one may come once.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/bytes.h"
#include "server/body_error.h"

#define JSON_DEPTH_MAX 127 /* the outermost container is 1 */

enum json_type {
    JSON_TEXT,    /* a string: struct bytes, or whatever `convert` makes of it */
    JSON_INTEGER, /* int64_t */
    JSON_OCTET,   /* an integer 0..255: uint8_t */
    JSON_OBJECT,  /* its fields go into the struct that holds this field */
    JSON_LIST,    /* an array of objects: pointer and uint32_t count */
    JSON_SLICE,   /* any value: struct bytes, its text as sent; base NULL for null */
};

/*
 * Puts a string's meaning into `target`. False: it is not what the field
 * expects. A string that has the right type but no meaning may fill `late`
 * instead and return true: that is reported only when nothing else is wrong.
 */
typedef bool json_convert_fn(struct bytes text, void *target, struct body_error *late);

struct json_object;

struct json_field {
    const char *name; /* with its length: JSON_NAME("book") */
    uint32_t name_len;
    enum json_type type;
    bool required;
    bool nullable;                    /* null counts as absent */
    const char *expected;             /* "a string", for refusals */
    size_t offset;                    /* of the value in the object's struct */
    size_t flag_offset;               /* of a bool that says "present"; 0: none (no struct begins with one) */
    json_convert_fn *convert;         /* of a text; NULL: taken as it is */
    const struct json_object *object; /* the fields of an object, or of each element of a list */
    size_t count_offset;              /* of a list's count */
    uint32_t count_max;               /* of a list: elements beyond it are counted, but only proved to be JSON */
};

#define JSON_NAME(literal) .name = literal, .name_len = sizeof(literal) - 1

struct json_object {
    const struct json_field *fields;
    uint32_t field_count; /* up to 32 */
    size_t size_bytes;    /* of one element of a list */
};

/*
 * Reads `body` as the one value that `root` describes into `target`, which
 * the caller has zeroed. Strings are slices of the body, or lie in the arena
 * when they had escapes; lists lie in the arena. 0, or EINVAL with *error filled.
 */
int json_shape_read(struct bytes body, const struct json_field *root, struct arena *arena, void *target,
                    struct body_error *error) __attribute__((warn_unused_result));

#endif
