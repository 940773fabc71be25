/*
 * yajl calls back for each token; a stack of frames knows which object or list
 * of the tables the token stands in. No tree is built. A value that nobody
 * wants is passed over by counting depth alone.
 *
 * yajl is looser than JSON in places, so the body is looked through first: its
 * own check of UTF-8 lets overlong forms pass, it takes vertical tabs and form
 * feeds for white space, and it makes '?' of a lone surrogate. Its number
 * callback hands over the text as it stands, so no number is ever a double.
 */
#include "server/json_shape.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <unistr.h>
#include <yajl/yajl_parse.h>

#include "common/exit_status.h"
#include "common/report.h"

#define FRAMES_MAX 8 /* the deepest shape there is: list, draft, list, posting, amount */
#define PLACE_MAX 128
#define LIST_CAPACITY_FIRST 4

/* An object or a list that is being read. */
struct frame {
    const struct json_object *object;  /* of an object; NULL: a list */
    const struct json_field *field;    /* object: the one whose value comes next, NULL: unknown; list: itself */
    uint8_t *target;                   /* the struct that the fields, or the list's pointer and count, are in */
    uint32_t seen;                     /* bit i: the object's field i came */
    uint32_t count;                    /* of a list: elements so far */
};

struct reader {
    yajl_handle yajl;
    struct bytes body;
    struct arena *arena;
    const struct json_field *root;
    void *target;
    struct body_error *error;
    struct body_error late;
    bool refused;
    bool begun; /* the root's value */
    bool finishing;      /* the body is read; yajl has been told that it ended */
    unsigned depth;      /* of containers, passed over or not */
    unsigned pass_depth; /* depth outside of the container that is passed over */
    bool passing;
    size_t slice_begin;
    struct bytes *slice; /* takes the value that comes now */
    unsigned frame_count;
    struct frame frames[FRAMES_MAX];
};

/* --- refusals --- */

static size_t offset_of_now(const struct reader *r)
{
    return r->finishing ? r->body.len : yajl_get_bytes_consumed(r->yajl);
}

/* "postings[1].amount.minor": field names and numbers, nothing of the client's. */
static void format_place(const struct reader *r, char out[static PLACE_MAX])
{
    size_t length = 0;
    out[0] = '\0';
    for (unsigned i = 0; i < r->frame_count && length < PLACE_MAX - 1; i++) {
        const struct frame *f = &r->frames[i];
        if (!f->object)
            length += (size_t)snprintf(out + length, PLACE_MAX - length, "[%u]", f->count ? f->count - 1 : 0);
        else if (f->field)
            length += (size_t)snprintf(out + length, PLACE_MAX - length, "%s%s", length ? "." : "", f->field->name);
    }
}

__attribute__((format(printf, 2, 3))) static int refuse(struct reader *r, const char *format, ...)
{
    char place[PLACE_MAX], why[128];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    format_place(r, place);
    r->error->field = "body";
    snprintf(r->error->reason, sizeof r->error->reason, "%s%s%s, at byte %zu", place, *place ? ": " : "", why,
             offset_of_now(r));
    r->refused = true;
    return 0;
}

static int refuse_text(struct body_error *error, const char *why, size_t offset)
{
    error->field = "body";
    snprintf(error->reason, sizeof error->reason, "%s, at byte %zu", why, offset);
    return EINVAL;
}

/* --- what yajl does not see --- */

/* Bytes of ASCII at the front, in whole pieces; nearly always all of them. */
static size_t ascii_length(struct bytes s)
{
    size_t i = 0;
    for (uint64_t words[4]; s.len - i >= sizeof words; i += sizeof words) {
        memcpy(words, s.base + i, sizeof words);
        if ((words[0] | words[1] | words[2] | words[3]) & UINT64_C(0x8080808080808080))
            break;
    }
    return i;
}

static int check_utf8(struct bytes body, struct body_error *error)
{
    size_t plain = ascii_length(body);
    if (plain == body.len)
        return 0;
    const uint8_t *wrong = u8_check(body.base + plain, body.len - plain);
    return wrong ? refuse_text(error, "not valid UTF-8", (size_t)(wrong - body.base)) : 0;
}

static int check_white_space(struct bytes body, struct body_error *error)
{
    const uint8_t *wrong = memchr(body.base, '\v', body.len);
    if (!wrong)
        wrong = memchr(body.base, '\f', body.len);
    return wrong ? refuse_text(error, "not JSON: a control character", (size_t)(wrong - body.base)) : 0;
}

/* The unit of an escape such as \ud83d at `p`, or -1 when none stands there. */
static int escaped_unit(const uint8_t *p, const uint8_t *end)
{
    int unit = 0;
    if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
        return -1;
    for (int i = 2; i < 6; i++) {
        int digit = p[i] >= '0' && p[i] <= '9' ? p[i] - '0' : (p[i] | 0x20) - 'a' + 10;
        if (digit < 0 || digit > 15)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

/* Backslashes outside of strings, and escapes that are none, are yajl's to refuse. */
static int check_surrogates(struct bytes body, struct body_error *error)
{
    const uint8_t *p = body.base, *end = body.base + body.len;
    while ((p = memchr(p, '\\', (size_t)(end - p)))) {
        int unit = escaped_unit(p, end);
        if (unit >= 0xD800 && unit <= 0xDBFF) {
            int low = escaped_unit(p + 6, end);
            if (low < 0xDC00 || low > 0xDFFF)
                return refuse_text(error, "not JSON: a lone surrogate", (size_t)(p - body.base));
            p += 12;
        } else if (unit >= 0xDC00 && unit <= 0xDFFF) {
            return refuse_text(error, "not JSON: a lone surrogate", (size_t)(p - body.base));
        } else {
            p += end - p < 2 ? 1 : 2; /* a backslash takes its next character with it */
        }
    }
    return 0;
}

/* --- values --- */

/* What the tables expect here; NULL: a value to pass over. */
static const struct json_field *wanted_here(const struct reader *r)
{
    return r->frame_count ? r->frames[r->frame_count - 1].field : r->root;
}

static uint8_t *target_here(const struct reader *r)
{
    return r->frame_count ? r->frames[r->frame_count - 1].target : r->target;
}

static bool in_list(const struct reader *r)
{
    return r->frame_count && !r->frames[r->frame_count - 1].object;
}

static int refuse_type(struct reader *r, const struct json_field *field)
{
    if (in_list(r)) {
        r->frames[r->frame_count - 1].count++; /* so that the place names this element */
        return refuse(r, "expected an object");
    }
    return refuse(r, "expected %s%s", field->expected, field->nullable ? " or null" : "");
}

static bool list_is_full(const struct reader *r)
{
    const struct frame *list = &r->frames[r->frame_count - 1];
    return list->count >= list->field->count_max;
}

/*
 * Is the scalar that comes now to be passed over? Then it is, and where a
 * slice wants it, taken along.
 */
static bool pass_scalar(struct reader *r, bool is_null)
{
    if (r->passing || r->finishing)
        return true; /* finishing: a number at the very end of a body that is cut short */
    if (in_list(r) && list_is_full(r)) {
        r->frames[r->frame_count - 1].count++;
        return true;
    }
    const struct json_field *field = wanted_here(r);
    if (!field)
        return true;
    if (field->type != JSON_SLICE || in_list(r))
        return false;
    if (!is_null)
        *r->slice = bytes_of(r->body.base + r->slice_begin, offset_of_now(r) - r->slice_begin);
    return true;
}

static void mark_present(struct reader *r, const struct json_field *field)
{
    if (field->flag_offset)
        *(bool *)(target_here(r) + field->flag_offset) = true;
}

static int on_null(void *context)
{
    struct reader *r = context;
    if (pass_scalar(r, true))
        return 1;
    const struct json_field *field = wanted_here(r);
    return field->nullable && !in_list(r) ? 1 : refuse_type(r, field);
}

static int on_boolean(void *context, int value)
{
    struct reader *r = context;
    (void)value;
    return pass_scalar(r, false) ? 1 : refuse_type(r, wanted_here(r));
}

/* Digits alone, with a sign perhaps, within int64_t. */
static bool parse_integer(const char *text, size_t length, int64_t *out)
{
    bool negative = text[0] == '-';
    int64_t n = 0;
    for (size_t i = negative; i < length; i++) {
        int digit = text[i] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, negative ? -digit : digit, &n))
            return false;
    }
    *out = n;
    return true;
}

static int on_number(void *context, const char *text, size_t length)
{
    struct reader *r = context;
    int64_t n;
    if (pass_scalar(r, false))
        return 1;
    const struct json_field *field = wanted_here(r);
    uint8_t *value = target_here(r) + field->offset;
    if (in_list(r) || (field->type != JSON_INTEGER && field->type != JSON_OCTET))
        return refuse_type(r, field);
    if (!parse_integer(text, length, &n) || (field->type == JSON_OCTET && (n < 0 || n > UINT8_MAX)))
        return refuse_type(r, field);
    if (field->type == JSON_OCTET)
        *value = (uint8_t)n;
    else
        memcpy(value, &n, sizeof n);
    mark_present(r, field);
    return 1;
}

/* A string without escapes lies in the body, any other in memory that yajl uses again. */
static struct bytes keep_text(struct reader *r, const unsigned char *text, size_t length)
{
    uintptr_t at = (uintptr_t)text, begin = (uintptr_t)r->body.base;
    if (at >= begin && at - begin < r->body.len)
        return bytes_of(text, length);
    return bytes_of(arena_copy(r->arena, text, length), length);
}

static int on_string(void *context, const unsigned char *text, size_t length)
{
    struct reader *r = context;
    if (pass_scalar(r, false))
        return 1;
    const struct json_field *field = wanted_here(r);
    uint8_t *value = target_here(r) + field->offset;
    if (in_list(r) || field->type != JSON_TEXT)
        return refuse_type(r, field);
    if (!field->convert)
        *(struct bytes *)value = keep_text(r, text, length);
    else if (!field->convert(bytes_of(text, length), value, &r->late))
        return refuse_type(r, field);
    mark_present(r, field);
    return 1;
}

/* --- containers --- */

static int push(struct reader *r, const struct json_object *object, const struct json_field *field, uint8_t *target)
{
    assert(r->frame_count < FRAMES_MAX);
    r->begun = true;
    r->frames[r->frame_count++] = (struct frame){.object = object, .field = field, .target = target};
    return 1;
}

/*
 * Makes room for one more element. The capacity is not kept: a list holds
 * LIST_CAPACITY_FIRST, and grows whenever its count has become a power of two.
 */
static uint8_t *add_element(struct reader *r, struct frame *list)
{
    size_t size = list->field->object->size_bytes;
    uint32_t count = list->count++;
    uint8_t *items;
    memcpy(&items, list->target + list->field->offset, sizeof items);
    if (count == 0 || (count >= LIST_CAPACITY_FIRST && (count & (count - 1)) == 0)) {
        uint8_t *grown = arena_alloc(r->arena, size * (count ? (size_t)count * 2 : LIST_CAPACITY_FIRST));
        if (count)
            memcpy(grown, items, size * count);
        items = grown;
        memcpy(list->target + list->field->offset, &items, sizeof items);
    }
    uint8_t *element = items + size * count;
    memset(element, 0, size);
    return element;
}

static int begin_passing(struct reader *r)
{
    r->passing = true;
    r->pass_depth = r->depth - 1;
    return 1;
}

/* Counts the depth of a container that begins. False: it was dealt with, *go_on says how. */
static bool enter(struct reader *r, int *go_on)
{
    *go_on = 1;
    if (++r->depth > JSON_DEPTH_MAX) {
        *go_on = refuse(r, "nested deeper than %d", JSON_DEPTH_MAX);
        return false;
    }
    if (r->passing)
        return false;
    if (in_list(r) && list_is_full(r)) {
        r->frames[r->frame_count - 1].count++;
        *go_on = begin_passing(r);
        return false;
    }
    const struct json_field *field = wanted_here(r);
    if (!field || (field->type == JSON_SLICE && !in_list(r))) {
        *go_on = begin_passing(r);
        return false;
    }
    return true;
}

static int on_start_map(void *context)
{
    struct reader *r = context;
    int go_on;
    if (!enter(r, &go_on))
        return go_on;
    const struct json_field *field = wanted_here(r);
    if (in_list(r))
        return push(r, field->object, NULL, add_element(r, &r->frames[r->frame_count - 1]));
    if (field->type != JSON_OBJECT)
        return refuse_type(r, field);
    return push(r, field->object, NULL, target_here(r));
}

static int on_start_array(void *context)
{
    struct reader *r = context;
    int go_on;
    if (!enter(r, &go_on))
        return go_on;
    const struct json_field *field = wanted_here(r);
    if (in_list(r) || field->type != JSON_LIST)
        return refuse_type(r, field);
    return push(r, NULL, field, target_here(r));
}

/* A container ends: true when it was one that is passed over. */
static bool leave(struct reader *r)
{
    r->depth--;
    if (!r->passing)
        return false;
    if (r->depth == r->pass_depth) {
        r->passing = false;
        if (r->slice)
            *r->slice = bytes_of(r->body.base + r->slice_begin, offset_of_now(r) - r->slice_begin);
        r->slice = NULL;
    }
    return true;
}

/* A bit for each field of the object, as in frame.seen. */
static uint32_t all_fields(const struct json_object *object)
{
    return UINT32_MAX >> (32 - object->field_count);
}

static int on_end_map(void *context)
{
    struct reader *r = context;
    if (leave(r))
        return 1;
    struct frame *f = &r->frames[r->frame_count - 1];
    for (uint32_t missing = ~f->seen & all_fields(f->object); missing; missing &= missing - 1) {
        const struct json_field *field = &f->object->fields[__builtin_ctz(missing)];
        if (field->required) {
            f->field = field;
            return refuse(r, "is missing");
        }
    }
    r->frame_count--;
    return 1;
}

static int on_end_array(void *context)
{
    struct reader *r = context;
    if (leave(r))
        return 1;
    struct frame *list = &r->frames[--r->frame_count];
    memcpy(list->target + list->field->count_offset, &list->count, sizeof list->count);
    return 1;
}

/* Behind a key: white space, the colon, white space, and there the value begins. */
static size_t value_offset(const struct reader *r)
{
    size_t at = offset_of_now(r);
    while (at < r->body.len && strchr(" \t\r\n:", r->body.base[at]) && r->body.base[at])
        at++;
    return at;
}

static bool is_named(const struct json_field *field, struct bytes name)
{
    return field->name_len == name.len && memcmp(field->name, name.base, name.len) == 0;
}

/* Clients mostly send fields in the order of the tables, so the one behind the last is looked at first. */
static const struct json_field *find_field(const struct json_object *object, const struct json_field *last,
                                           struct bytes name)
{
    const struct json_field *end = object->fields + object->field_count;
    const struct json_field *from = last ? last + 1 : object->fields;
    for (const struct json_field *field = from; field < end; field++)
        if (is_named(field, name))
            return field;
    for (const struct json_field *field = object->fields; field < from; field++)
        if (is_named(field, name))
            return field;
    return NULL;
}

static int on_map_key(void *context, const unsigned char *key, size_t length)
{
    struct reader *r = context;
    if (r->passing)
        return 1;
    struct frame *f = &r->frames[r->frame_count - 1];
    f->field = find_field(f->object, f->field, bytes_of(key, length));
    r->slice = NULL;
    if (!f->field)
        return 1;
    uint32_t bit = 1u << (f->field - f->object->fields);
    if (f->seen & bit)
        return refuse(r, "is given twice");
    f->seen |= bit;
    if (f->field->type == JSON_SLICE) {
        r->slice = (struct bytes *)(f->target + f->field->offset);
        r->slice_begin = value_offset(r);
    }
    return 1;
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_boolean,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_start_map,
    .yajl_map_key = on_map_key,
    .yajl_end_map = on_end_map,
    .yajl_start_array = on_start_array,
    .yajl_end_array = on_end_array,
};

/* --- yajl's memory: in the arena, each piece behind its size --- */

#define SIZE_BYTES 16 /* keeps the alignment */

static void *yajl_allocate(void *arena, size_t size)
{
    uint8_t *piece = arena_alloc(arena, SIZE_BYTES + size);
    memcpy(piece, &size, sizeof size);
    return piece + SIZE_BYTES;
}

static void *yajl_reallocate(void *arena, void *old, size_t size)
{
    size_t old_size = 0;
    void *piece = yajl_allocate(arena, size);
    if (old) {
        memcpy(&old_size, (uint8_t *)old - SIZE_BYTES, sizeof old_size);
        memcpy(piece, old, old_size < size ? old_size : size);
    }
    return piece;
}

static void yajl_release(void *arena, void *piece)
{
    (void)arena, (void)piece;
}

/* yajl's words are fixed texts and end with a newline. */
static int refuse_syntax(struct reader *r)
{
    const char *words = (const char *)yajl_get_error(r->yajl, 0, NULL, 0);
    size_t length = strcspn(words, "\n");
    char why[128];
    snprintf(why, sizeof why, "not JSON: %.*s", length < 100 ? (int)length : 100, words);
    return refuse_text(r->error, why, offset_of_now(r));
}

static int parse(struct reader *r)
{
    yajl_status status = yajl_parse(r->yajl, r->body.base, r->body.len);
    if (status == yajl_status_ok) {
        r->finishing = true;
        status = yajl_complete_parse(r->yajl);
    }
    if (r->refused)
        return EINVAL;
    if (status != yajl_status_ok)
        return refuse_syntax(r);
    if (!r->begun) { /* a bare number: yajl speaks of it only once the body is at its end */
        refuse(r, "expected %s", r->root->expected);
        return EINVAL;
    }
    assert(r->depth == 0 && r->frame_count == 0);
    return 0;
}

static int check_text(struct bytes body, struct body_error *error)
{
    if (body.len == 0)
        return refuse_text(error, "the body is empty", 0);
    int failed = check_utf8(body, error);
    if (!failed)
        failed = check_white_space(body, error);
    return failed ? failed : check_surrogates(body, error);
}

int json_shape_read(struct bytes body, const struct json_field *root, struct arena *arena, void *target,
                    struct body_error *error)
{
    yajl_alloc_funcs memory = {yajl_allocate, yajl_reallocate, yajl_release, arena};
    struct reader r = {.body = body, .arena = arena, .root = root, .target = target, .error = error};
    int failed = check_text(body, error);
    if (failed)
        return failed;
    r.yajl = yajl_alloc(&callbacks, &memory, &r);
    if (!r.yajl)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    yajl_config(r.yajl, yajl_dont_validate_strings, 1); /* check_text has */
    failed = parse(&r);
    yajl_free(r.yajl);
    if (!failed && r.late.field) {
        *error = r.late;
        failed = EINVAL;
    }
    return failed;
}
