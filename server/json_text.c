/*
 * yajl_gen does the escaping and the separators; it prints straight into the
 * caller's buffer. Its states make a wrong structure (a value where a key
 * belongs) an error, which here is a bug. It knows no way to print a ready
 * piece of JSON but its number function, which prints what it is given.
 */
#include "server/json_text.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <yajl/yajl_gen.h>

#include "common/exit_status.h"
#include "common/report.h"

struct json_text {
    yajl_gen gen;
    struct buffer *out;
};

static void print(void *context, const char *text, size_t length)
{
    struct json_text *j = context;
    buffer_append(j->out, text, length);
}

struct json_text *json_text_create(struct buffer *out)
{
    struct json_text *j = calloc(1, sizeof *j);
    if (j)
        j->gen = yajl_gen_alloc(NULL);
    if (!j || !j->gen)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory: cannot make a JSON writer");
    j->out = out;
    yajl_gen_config(j->gen, yajl_gen_print_callback, print, j);
    return j;
}

void json_text_destroy(struct json_text **j)
{
    if (!*j)
        return;
    yajl_gen_free((*j)->gen);
    free(*j);
    *j = NULL;
}

void json_text_restart(struct json_text *j, struct buffer *out)
{
    j->out = out;
    yajl_gen_reset(j->gen, NULL);
}

static void expect_ok(yajl_gen_status status)
{
    assert(status == yajl_gen_status_ok);
    (void)status;
}

void json_open_object(struct json_text *j)
{
    expect_ok(yajl_gen_map_open(j->gen));
}

void json_close_object(struct json_text *j)
{
    expect_ok(yajl_gen_map_close(j->gen));
}

void json_open_array(struct json_text *j)
{
    expect_ok(yajl_gen_array_open(j->gen));
}

void json_close_array(struct json_text *j)
{
    expect_ok(yajl_gen_array_close(j->gen));
}

void json_key(struct json_text *j, const char *key)
{
    json_cstring(j, key);
}

void json_string(struct json_text *j, struct bytes s)
{
    expect_ok(yajl_gen_string(j->gen, s.len ? s.base : (const uint8_t *)"", s.len));
}

void json_cstring(struct json_text *j, const char *s)
{
    json_string(j, bytes_of_string(s));
}

void json_field(struct json_text *j, const char *key, struct bytes value)
{
    json_key(j, key);
    json_string(j, value);
}

void json_integer(struct json_text *j, int64_t n)
{
    expect_ok(yajl_gen_integer(j->gen, n));
}

void json_unsigned(struct json_text *j, u128 n)
{
    char text[U128_TEXT_MAX];
    int length = u128_format(n, text);
    expect_ok(yajl_gen_number(j->gen, text, (size_t)length));
}

void json_number(struct json_text *j, double n, int decimals)
{
    char text[DBL_MAX_10_EXP + 16]; /* and a sign, a point, decimals, NUL */
    assert(isfinite(n) && decimals >= 0 && decimals <= 9);
    int length = snprintf(text, sizeof text, "%.*f", decimals, n);
    expect_ok(yajl_gen_number(j->gen, text, (size_t)length));
}

void json_bool(struct json_text *j, bool b)
{
    expect_ok(yajl_gen_bool(j->gen, b));
}

void json_null(struct json_text *j)
{
    expect_ok(yajl_gen_null(j->gen));
}

void json_ready(struct json_text *j, struct bytes json)
{
    expect_ok(yajl_gen_number(j->gen, (const char *)json.base, json.len));
}

/* A string holds no raw CR or LF, so each one found stands between tokens. */
void json_verbatim(struct json_text *j, struct bytes json)
{
    size_t begin = j->out->len;
    json_ready(j, json);
    for (uint8_t *p = j->out->base + begin, *end = j->out->base + j->out->len; p < end; p++)
        if (*p == '\n' || *p == '\r')
            *p = ' ';
}
