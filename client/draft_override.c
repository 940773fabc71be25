/*
 * Runs yajl's parser over the draft only to learn where the values of its own
 * members (not of nested ones) begin and end, and copies what lies between
 * them. Names are compared with their escapes undone, as the ledger reads them.
 */
#include "client/draft_override.h"

#include <errno.h>
#include <string.h>

#include <yajl/yajl_parse.h>

#include "client/status.h"

struct splicing {
    yajl_handle yajl;
    const char *draft;
    struct text *out;
    struct draft_member *members;
    size_t member_count;
    struct draft_member *current; /* the member whose value comes next; NULL: one to be left alone */
    unsigned depth;
    size_t key_count;    /* of the object itself */
    size_t key_end;      /* offset behind the last key */
    size_t copied_bytes; /* of the draft */
};

static void copy_up_to(struct splicing *s, size_t end)
{
    text_add(s->out, s->draft + s->copied_bytes, end - s->copied_bytes);
    s->copied_bytes = end;
}

/* A key is followed by blanks and one colon. */
static size_t value_begin(const struct splicing *s, size_t end)
{
    size_t at = s->key_end;
    while (at < end && memchr(" \t\r\n:", s->draft[at], 5))
        at++;
    return at;
}

static int on_value_end(struct splicing *s)
{
    if (s->depth == 0)
        return 0; /* a document that is no object */
    if (s->depth == 1 && s->current && s->current->value) {
        size_t end = yajl_get_bytes_consumed(s->yajl);
        copy_up_to(s, value_begin(s, end));
        text_add_string(s->out, s->current->value);
        s->copied_bytes = end;
    }
    return 1;
}

static int on_key(void *context, const unsigned char *name, size_t length)
{
    struct splicing *s = context;
    if (s->depth != 1)
        return 1;
    s->key_count++;
    s->key_end = yajl_get_bytes_consumed(s->yajl);
    s->current = NULL;
    for (size_t i = 0; i < s->member_count; i++)
        if (strlen(s->members[i].name) == length && memcmp(s->members[i].name, name, length) == 0)
            s->current = &s->members[i];
    if (s->current)
        s->current->found = true;
    return 1;
}

static void add_missing(struct splicing *s)
{
    for (size_t i = 0; i < s->member_count; i++)
        if (s->members[i].value && !s->members[i].found)
            text_printf(s->out, "%s\"%s\":%s", s->key_count++ ? "," : "", s->members[i].name,
                        s->members[i].value);
}

static int on_close(void *context)
{
    struct splicing *s = context;
    if (--s->depth > 0)
        return on_value_end(s);
    copy_up_to(s, yajl_get_bytes_consumed(s->yajl) - 1);
    add_missing(s);
    return 1;
}

static int on_open_map(void *context)
{
    struct splicing *s = context;
    s->depth++;
    return 1;
}

static int on_open_array(void *context)
{
    struct splicing *s = context;
    return s->depth++ > 0;
}

static int on_null(void *context)
{
    return on_value_end(context);
}

static int on_bool(void *context, int value)
{
    (void)value;
    return on_value_end(context);
}

static int on_number(void *context, const char *digits, size_t length)
{
    (void)digits, (void)length;
    return on_value_end(context);
}

static int on_string(void *context, const unsigned char *bytes, size_t length)
{
    (void)bytes, (void)length;
    return on_value_end(context);
}

static const yajl_callbacks callbacks = {
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

int draft_override(const char *draft, size_t length, struct draft_member *members, size_t count,
                   struct text *out)
{
    struct splicing s = {.draft = draft, .out = out, .members = members, .member_count = count};
    for (size_t i = 0; i < count; i++)
        members[i].found = false;
    s.yajl = yajl_alloc(&callbacks, NULL, &s);
    if (!s.yajl)
        out_of_memory();
    bool good = yajl_parse(s.yajl, (const unsigned char *)draft, length) == yajl_status_ok &&
                yajl_complete_parse(s.yajl) == yajl_status_ok;
    yajl_free(s.yajl);
    if (!good)
        return EINVAL;
    copy_up_to(&s, length);
    return 0;
}
