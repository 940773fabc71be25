#include "client/json.h"

#include <stdlib.h>
#include <string.h>

#include <yajl/yajl_gen.h>
#include <yajl/yajl_parse.h>

#include "client/status.h"

static void print(void *context, const char *text, size_t length)
{
    text_add(context, text, length);
}

static yajl_gen generator(struct text *out, int beautify)
{
    yajl_gen gen = yajl_gen_alloc(NULL);
    if (!gen) {
        complain("out of memory");
        exit(STATUS_UNREACHABLE);
    }
    yajl_gen_config(gen, yajl_gen_beautify, beautify);
    yajl_gen_config(gen, yajl_gen_indent_string, "  ");
    yajl_gen_config(gen, yajl_gen_print_callback, print, out);
    return gen;
}

static int copy_null(void *g)
{
    return yajl_gen_null(g) == yajl_gen_status_ok;
}

static int copy_bool(void *g, int value)
{
    return yajl_gen_bool(g, value) == yajl_gen_status_ok;
}

static int copy_number(void *g, const char *s, size_t n)
{
    return yajl_gen_number(g, s, n) == yajl_gen_status_ok;
}

static int copy_string(void *g, const unsigned char *s, size_t n)
{
    return yajl_gen_string(g, s, n) == yajl_gen_status_ok;
}

static int open_map(void *g)
{
    return yajl_gen_map_open(g) == yajl_gen_status_ok;
}

static int close_map(void *g)
{
    return yajl_gen_map_close(g) == yajl_gen_status_ok;
}

static int open_array(void *g)
{
    return yajl_gen_array_open(g) == yajl_gen_status_ok;
}

static int close_array(void *g)
{
    return yajl_gen_array_close(g) == yajl_gen_status_ok;
}

static const yajl_callbacks copying = {
    .yajl_null = copy_null,
    .yajl_boolean = copy_bool,
    .yajl_number = copy_number,
    .yajl_string = copy_string,
    .yajl_start_map = open_map,
    .yajl_map_key = copy_string,
    .yajl_end_map = close_map,
    .yajl_start_array = open_array,
    .yajl_end_array = close_array,
};

static bool parse(const yajl_callbacks *callbacks, void *context, const char *json, size_t length)
{
    yajl_handle yajl = yajl_alloc(callbacks, NULL, context);
    bool good = yajl && yajl_parse(yajl, (const unsigned char *)json, length) == yajl_status_ok &&
                yajl_complete_parse(yajl) == yajl_status_ok;
    if (yajl)
        yajl_free(yajl);
    return good;
}

bool json_indent(struct text *out, const char *json, size_t length)
{
    size_t before = out->len;
    yajl_gen gen = generator(out, 1);
    bool good = parse(&copying, gen, json, length);
    yajl_gen_free(gen);
    if (!good) {
        out->len = before;
        return false;
    }
    if (out->len > before && out->base[out->len - 1] != '\n')
        text_add_string(out, "\n");
    return true;
}

bool json_is_valid(const char *json, size_t length)
{
    return parse(NULL, NULL, json, length);
}

void json_add_string(struct text *out, const char *s)
{
    yajl_gen gen = generator(out, 0);
    yajl_gen_string(gen, (const unsigned char *)s, strlen(s));
    yajl_gen_free(gen);
}

/* --- members of an object --- */

struct splitting {
    yajl_handle yajl;
    const char *json;
    struct json_member *members;
    size_t count;
    unsigned depth;
    size_t value_begin;
};

static size_t skip_to_value(const char *json, size_t begin, size_t end)
{
    while (begin < end && strchr(" \t\r\n:", json[begin]))
        begin++;
    return begin;
}

static int value_done(struct splitting *s)
{
    if (s->depth == 0)
        return 0; /* the document is no object */
    if (s->depth != 1)
        return 1;
    struct json_member *member = &s->members[s->count - 1];
    size_t end = yajl_get_bytes_consumed(s->yajl);
    size_t begin = skip_to_value(s->json, s->value_begin, end);
    member->value = s->json + begin;
    member->value_len = end - begin;
    return 1;
}

static int on_null(void *c)
{
    return value_done(c);
}

static int on_bool(void *c, int value)
{
    (void)value;
    return value_done(c);
}

static int on_number(void *c, const char *s, size_t n)
{
    (void)s, (void)n;
    return value_done(c);
}

static int on_string(void *c, const unsigned char *s, size_t n)
{
    (void)s, (void)n;
    return value_done(c);
}

static int on_open_map(void *c)
{
    struct splitting *s = c;
    s->depth++;
    return 1;
}

static int on_open_array(void *c)
{
    struct splitting *s = c;
    return s->depth++ > 0;
}

static int on_close(void *c)
{
    struct splitting *s = c;
    return --s->depth > 0 ? value_done(s) : 1;
}

static int on_key(void *c, const unsigned char *name, size_t length)
{
    struct splitting *s = c;
    if (s->depth != 1)
        return 1;
    s->members = realloc(s->members, (s->count + 1) * sizeof *s->members);
    char *copy = s->members ? strndup((const char *)name, length) : NULL;
    if (!copy) {
        complain("out of memory");
        exit(STATUS_UNREACHABLE);
    }
    s->members[s->count++] = (struct json_member){.name = copy};
    s->value_begin = yajl_get_bytes_consumed(s->yajl);
    return 1;
}

static const yajl_callbacks splitting_callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_bool,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_open_map,
    .yajl_map_key = on_key,
    .yajl_end_map = on_close,
    .yajl_start_array = on_open_array,
    .yajl_end_array = on_close,
};

bool json_members(const char *json, size_t length, struct json_member **members, size_t *count)
{
    struct splitting s = {.json = json};
    s.yajl = yajl_alloc(&splitting_callbacks, NULL, &s);
    bool good = s.yajl && yajl_parse(s.yajl, (const unsigned char *)json, length) == yajl_status_ok &&
                yajl_complete_parse(s.yajl) == yajl_status_ok;
    if (s.yajl)
        yajl_free(s.yajl);
    if (!good) {
        json_members_free(s.members, s.count);
        s.members = NULL;
        s.count = 0;
    }
    *members = s.members;
    *count = s.count;
    return good;
}

void json_members_free(struct json_member *members, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(members[i].name);
    free(members);
}
