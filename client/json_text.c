/*
 * Copies JSON from yajl's parser into yajl's generator, event by event, so that
 * an answer is indented without ever being a tree. A nesting deeper than 127,
 * the ledger's own limit, is no JSON here either: the generator knows no more.
 */
#include "client/json_text.h"

#include <yajl/yajl_gen.h>
#include <yajl/yajl_parse.h>

#include "client/status.h"

static void print(void *context, const char *text, size_t length)
{
    text_add(context, text, length);
}

static yajl_gen create_generator(struct text *out, int beautify)
{
    yajl_gen gen = yajl_gen_alloc(NULL);
    if (!gen)
        out_of_memory();
    yajl_gen_config(gen, yajl_gen_beautify, beautify);
    yajl_gen_config(gen, yajl_gen_indent_string, "  ");
    yajl_gen_config(gen, yajl_gen_print_callback, print, out);
    return gen;
}

static int copy_null(void *gen)
{
    return yajl_gen_null(gen) == yajl_gen_status_ok;
}

static int copy_bool(void *gen, int value)
{
    return yajl_gen_bool(gen, value) == yajl_gen_status_ok;
}

static int copy_number(void *gen, const char *s, size_t n)
{
    return yajl_gen_number(gen, s, n) == yajl_gen_status_ok;
}

static int copy_string(void *gen, const unsigned char *s, size_t n)
{
    return yajl_gen_string(gen, s, n) == yajl_gen_status_ok;
}

static int open_map(void *gen)
{
    return yajl_gen_map_open(gen) == yajl_gen_status_ok;
}

static int close_map(void *gen)
{
    return yajl_gen_map_close(gen) == yajl_gen_status_ok;
}

static int open_array(void *gen)
{
    return yajl_gen_array_open(gen) == yajl_gen_status_ok;
}

static int close_array(void *gen)
{
    return yajl_gen_array_close(gen) == yajl_gen_status_ok;
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
    if (!yajl)
        out_of_memory();
    bool good = yajl_parse(yajl, (const unsigned char *)json, length) == yajl_status_ok &&
                yajl_complete_parse(yajl) == yajl_status_ok;
    yajl_free(yajl);
    return good;
}

bool json_indent(struct text *out, const char *json, size_t length)
{
    size_t before = out->len;
    yajl_gen gen = create_generator(out, 1);
    bool good = parse(&copying, gen, json, length);
    yajl_gen_free(gen);
    if (!good)
        out->len = before;
    else if (out->base[out->len - 1] != '\n')
        text_add_string(out, "\n");
    return good;
}

bool json_is_valid(const char *json, size_t length)
{
    return parse(NULL, NULL, json, length);
}

void json_add_string(struct text *out, const char *s, size_t length)
{
    yajl_gen gen = create_generator(out, 0);
    yajl_gen_string(gen, (const unsigned char *)s, length);
    yajl_gen_free(gen);
}
