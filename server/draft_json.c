#include "server/draft_json.h"

/*
 * One yajl stream, one state machine. Where the parser is, is a stack of
 * containers (enum place); what a value at that place means, is the field
 * table of the container. A value that nobody asked for is skipped by depth
 * alone.
 *
 * States of a container: expecting a known field's value (field >= 0), an
 * unknown field's value (field < 0), or an element of an array. The terminal
 * state is an empty stack.
 *
 * yajl is not strict enough by itself: it lets lone surrogates and overlong
 * UTF-8 pass, so the whole body is checked before it sees it.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistr.h>
#include <yajl/yajl_parse.h>

enum place {
    PLACE_DOCUMENT, /* outside of everything */
    PLACE_BATCH,
    PLACE_DRAFT,
    PLACE_POSTINGS,
    PLACE_POSTING,
    PLACE_AMOUNT,
    PLACE_REFS,
    PLACE_REF,
    PLACE_ASSET,
    PLACE_ACCOUNT,
};

enum value_kind { VALUE_STRING, VALUE_INTEGER, VALUE_OTHER_NUMBER, VALUE_NULL, VALUE_BOOL, VALUE_OBJECT, VALUE_ARRAY };

struct field {
    const char *name;
    bool required;
};

static const struct field draft_fields[] = {
    {"book", true},           {"idempotency_key", true}, {"postings", true},
    {"external_refs", false}, {"metadata", false},       {"occurred_at", false},
};
enum draft_field { DRAFT_BOOK, DRAFT_KEY, DRAFT_POSTINGS, DRAFT_REFS, DRAFT_METADATA, DRAFT_OCCURRED_AT };
static const struct field posting_fields[] = {{"account", true}, {"amount", true}, {"direction", true}};
enum posting_field { POSTING_ACCOUNT, POSTING_AMOUNT, POSTING_DIRECTION };
static const struct field amount_fields[] = {{"minor", true}, {"asset", true}};
enum amount_field { AMOUNT_MINOR, AMOUNT_ASSET };
static const struct field ref_fields[] = {{"kind", true}, {"value", true}};
enum ref_field { REF_KIND, REF_VALUE };
static const struct field asset_fields[] = {
    {"id", true},         {"class", true},     {"network", false},
    {"native_id", false}, {"precision", true}, {"name", true},
};
enum asset_field { ASSET_ID, ASSET_CLASS, ASSET_NETWORK, ASSET_NATIVE_ID, ASSET_PRECISION, ASSET_NAME };
static const struct field account_fields[] = {
    {"book", true}, {"path", true},         {"asset", true},
    {"kind", true}, {"normal_side", false}, {"min_balance", false},
};
enum account_field { ACCOUNT_BOOK, ACCOUNT_PATH, ACCOUNT_ASSET, ACCOUNT_KIND, ACCOUNT_SIDE, ACCOUNT_MIN };

#define FIELDS(f) {f, sizeof f / sizeof *f}
static const struct {
    const struct field *fields;
    size_t count;
} fields_of[] = {
    [PLACE_DRAFT] = FIELDS(draft_fields), [PLACE_POSTING] = FIELDS(posting_fields),
    [PLACE_AMOUNT] = FIELDS(amount_fields), [PLACE_REF] = FIELDS(ref_fields),
    [PLACE_ASSET] = FIELDS(asset_fields), [PLACE_ACCOUNT] = FIELDS(account_fields),
};

struct frame {
    enum place place;
    int field;       /* of the value that comes next; -1: unknown */
    uint32_t seen;   /* bit for each known field */
    uint32_t index;  /* of the element that comes next, in an array */
};

#define FRAMES_MAX 8

struct reader {
    yajl_handle yajl;
    struct bytes body;
    struct arena *arena;
    struct body_error *error;
    enum place top; /* what the document must be */
    unsigned depth;     /* of all containers */
    unsigned skip_depth; /* containers open within a value that is skipped or kept whole */
    size_t value_begin;  /* of a metadata value: offset behind its key */
    struct frame frames[FRAMES_MAX];
    int frame_count;

    uint32_t batch_max;
    struct draft *drafts;
    uint32_t draft_count, draft_room;
    struct draft draft;
    struct posting *postings;
    uint32_t posting_room;
    struct external_ref *refs;
    uint32_t ref_room;
    struct asset_definition asset;
    struct bytes class_word;
    struct account_definition account;
    struct bytes kind_word;
};

/* --- errors --- */

static int fail_at(struct body_error *error, size_t offset, const char *text)
{
    error->field = "body";
    snprintf(error->reason, sizeof error->reason, "%s, at byte %zu", text, offset);
    return EINVAL;
}

/* The path to the value that comes next: "postings[1].amount.minor". */
static void describe_place(const struct reader *r, char *out, size_t size)
{
    size_t n = 0;
    out[0] = '\0';
    for (int i = 0; i < r->frame_count && n < size; i++) {
        const struct frame *f = &r->frames[i];
        int more;
        if (f->place == PLACE_BATCH || f->place == PLACE_POSTINGS || f->place == PLACE_REFS)
            more = snprintf(out + n, size - n, "[%" PRIu32 "]", f->index);
        else if (f->field >= 0)
            more = snprintf(out + n, size - n, "%s%s", n ? "." : "", fields_of[f->place].fields[f->field].name);
        else
            continue;
        n += (size_t)more;
    }
    if (n == 0)
        snprintf(out, size, "the document");
}

/* A callback's refusal: 0 stops yajl. */
static int refuse(struct reader *r, const char *what)
{
    char place[96], text[200];
    describe_place(r, place, sizeof place);
    snprintf(text, sizeof text, "%s: %s", place, what);
    fail_at(r->error, yajl_get_bytes_consumed(r->yajl), text);
    return 0;
}

static int refuse_missing(struct reader *r, const char *field)
{
    char text[64];
    snprintf(text, sizeof text, "lacks the field '%s'", field);
    r->frames[r->frame_count - 1].field = -1;
    return refuse(r, text);
}

/* --- values --- */

static struct frame *top_frame(struct reader *r)
{
    return r->frame_count ? &r->frames[r->frame_count - 1] : NULL;
}

static int push(struct reader *r, enum place place)
{
    assert(r->frame_count < FRAMES_MAX);
    r->frames[r->frame_count++] = (struct frame){.place = place, .field = -1};
    return 1;
}

/* A string of yajl's that is not a slice of the body was unescaped into yajl's own memory. */
static struct bytes keep(struct reader *r, const unsigned char *s, size_t length)
{
    if (s >= r->body.base && s + length <= r->body.base + r->body.len)
        return bytes_of(s, length);
    return bytes_of(arena_copy(r->arena, s, length), length);
}

/* Geometric growth in an arena: the old copy stays behind until the reset. */
static void *grown(struct reader *r, void *items, uint32_t count, uint32_t *room, size_t size)
{
    if (count < *room)
        return items;
    *room = *room ? *room * 2 : 4;
    void *more = arena_alloc(r->arena, *room * size);
    if (count)
        memcpy(more, items, count * size);
    return more;
}

static struct posting *current_posting(struct reader *r)
{
    return &r->postings[r->draft.posting_count];
}

static struct external_ref *current_ref(struct reader *r)
{
    return &r->refs[r->draft.external_ref_count];
}

static int draft_string(struct reader *r, int field, struct bytes s)
{
    switch ((enum draft_field)field) {
    case DRAFT_BOOK:
        r->draft.book = s;
        return 1;
    case DRAFT_KEY:
        r->draft.idempotency_key = s;
        return 1;
    case DRAFT_OCCURRED_AT:
        r->draft.has_occurred_at = true;
        return rfc3339_parse(s, &r->draft.occurred_at) == 0 ? 1 : refuse(r, "expected an RFC 3339 date-time");
    case DRAFT_POSTINGS:
    case DRAFT_REFS:
        return refuse(r, "expected an array");
    case DRAFT_METADATA:
        break; /* kept whole before it comes here */
    }
    return refuse(r, "unexpected value");
}

static int posting_string(struct reader *r, int field, struct bytes s)
{
    struct posting *posting = current_posting(r);
    switch ((enum posting_field)field) {
    case POSTING_ACCOUNT:
        posting->account = s;
        return 1;
    case POSTING_AMOUNT:
        return refuse(r, "expected an object");
    case POSTING_DIRECTION:
        break;
    }
    if (bytes_equal(s, BYTES_LITERAL("debit")))
        posting->direction = DIRECTION_DEBIT;
    else if (bytes_equal(s, BYTES_LITERAL("credit")))
        posting->direction = DIRECTION_CREDIT;
    else
        return refuse(r, "expected \"debit\" or \"credit\"");
    return 1;
}

static int asset_string(struct reader *r, int field, struct bytes s)
{
    switch ((enum asset_field)field) {
    case ASSET_ID:
        r->asset.id = s;
        return 1;
    case ASSET_CLASS:
        r->class_word = s;
        return 1;
    case ASSET_NETWORK:
        r->asset.has_network = true;
        r->asset.network = s;
        return 1;
    case ASSET_NATIVE_ID:
        r->asset.has_native_id = true;
        r->asset.native_id = s;
        return 1;
    case ASSET_NAME:
        r->asset.name = s;
        return 1;
    case ASSET_PRECISION:
        break;
    }
    return refuse(r, "expected an integer");
}

static int account_string(struct reader *r, int field, struct bytes s)
{
    switch ((enum account_field)field) {
    case ACCOUNT_BOOK:
        r->account.book = s;
        return 1;
    case ACCOUNT_PATH:
        r->account.path = s;
        return 1;
    case ACCOUNT_ASSET:
        r->account.asset = s;
        return 1;
    case ACCOUNT_KIND:
        r->kind_word = s;
        return 1;
    case ACCOUNT_MIN:
        return refuse(r, "expected an integer");
    case ACCOUNT_SIDE:
        break;
    }
    if (bytes_equal(s, BYTES_LITERAL("debit")))
        r->account.normal_side = NORMAL_SIDE_DEBIT;
    else if (bytes_equal(s, BYTES_LITERAL("credit")))
        r->account.normal_side = NORMAL_SIDE_CREDIT;
    else
        return refuse(r, "expected \"debit\", \"credit\" or null");
    return 1;
}

static int take_string(struct reader *r, const struct frame *f, struct bytes s)
{
    switch (f->place) {
    case PLACE_DRAFT:
        return draft_string(r, f->field, s);
    case PLACE_POSTING:
        return posting_string(r, f->field, s);
    case PLACE_AMOUNT:
        if (f->field != AMOUNT_ASSET)
            return refuse(r, "expected an integer");
        current_posting(r)->asset = s;
        return 1;
    case PLACE_REF:
        if (f->field == REF_KIND)
            current_ref(r)->kind = s;
        else
            current_ref(r)->value = s;
        return 1;
    case PLACE_ASSET:
        return asset_string(r, f->field, s);
    case PLACE_ACCOUNT:
        return account_string(r, f->field, s);
    case PLACE_BATCH:
    case PLACE_POSTINGS:
    case PLACE_REFS:
        return refuse(r, "expected an object");
    case PLACE_DOCUMENT:
        break;
    }
    return refuse(r, r->top == PLACE_BATCH ? "expected an array" : "expected an object");
}

static int take_integer(struct reader *r, const struct frame *f, int64_t value)
{
    if (f->place == PLACE_AMOUNT && f->field == AMOUNT_MINOR) {
        current_posting(r)->minor = value;
        return 1;
    }
    if (f->place == PLACE_ASSET && f->field == ASSET_PRECISION) {
        if (value < 0 || value > UINT8_MAX)
            return refuse(r, "expected an integer from 0 to 255");
        r->asset.precision = (uint8_t)value;
        return 1;
    }
    if (f->place == PLACE_ACCOUNT && f->field == ACCOUNT_MIN) {
        r->account.has_min_balance = true;
        r->account.min_balance = value;
        return 1;
    }
    return refuse(r, "a number is not expected here");
}

/* null is allowed where a field may be left out, but for external_refs. */
static int take_null(struct reader *r, const struct frame *f)
{
    bool may_be_null = (f->place == PLACE_DRAFT && f->field == DRAFT_OCCURRED_AT) ||
                       (f->place == PLACE_ASSET && (f->field == ASSET_NETWORK || f->field == ASSET_NATIVE_ID)) ||
                       (f->place == PLACE_ACCOUNT && (f->field == ACCOUNT_SIDE || f->field == ACCOUNT_MIN));
    return may_be_null ? 1 : refuse(r, "null is not expected here");
}

/* --- values that are skipped or kept whole --- */

static bool wants_whole(const struct frame *f)
{
    return f->place == PLACE_DRAFT && f->field == DRAFT_METADATA;
}

static bool is_object(enum place place)
{
    return place >= PLACE_DRAFT && place != PLACE_POSTINGS && place != PLACE_REFS;
}

/* Is the value that comes next none that anybody reads piece by piece? */
static bool passes_whole(struct reader *r)
{
    const struct frame *f = top_frame(r);
    return r->skip_depth > 0 || (f && is_object(f->place) && (f->field < 0 || wants_whole(f)));
}

static bool is_space_or_colon(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ':';
}

/* A value that passes whole has ended at the parser's present offset. */
static int passed_whole(struct reader *r)
{
    struct frame *f = top_frame(r);
    if (!wants_whole(f))
        return 1;
    size_t begin = r->value_begin, end = yajl_get_bytes_consumed(r->yajl);
    while (begin < end && is_space_or_colon(r->body.base[begin]))
        begin++;
    r->draft.metadata = bytes_of(r->body.base + begin, end - begin);
    if (bytes_equal(r->draft.metadata, BYTES_LITERAL("null")))
        r->draft.metadata = bytes_of(NULL, 0);
    return 1;
}

/* --- yajl's callbacks --- */

/* Called when a value is complete: the next element of an array comes next. */
static int next_element(struct reader *r, int result)
{
    struct frame *f = top_frame(r);
    if (result && f && !is_object(f->place))
        f->index++;
    return result;
}

static const struct frame document_frame = {.place = PLACE_DOCUMENT, .field = -1};

static int on_scalar(struct reader *r, enum value_kind kind, struct bytes text, int64_t integer)
{
    if (passes_whole(r))
        return r->skip_depth > 0 ? 1 : passed_whole(r);
    const struct frame *f = top_frame(r) ? top_frame(r) : &document_frame;
    switch (kind) {
    case VALUE_STRING:
        return take_string(r, f, keep(r, text.base, text.len));
    case VALUE_INTEGER:
        return take_integer(r, f, integer);
    case VALUE_NULL:
        return take_null(r, f);
    case VALUE_OTHER_NUMBER:
        return refuse(r, "expected a whole number in the 64-bit range");
    case VALUE_BOOL:
    case VALUE_OBJECT:
    case VALUE_ARRAY:
        break;
    }
    return refuse(r, "a boolean is not expected here");
}

static int on_null(void *context)
{
    return on_scalar(context, VALUE_NULL, bytes_of(NULL, 0), 0);
}

static int on_boolean(void *context, int value)
{
    (void)value;
    return on_scalar(context, VALUE_BOOL, bytes_of(NULL, 0), 0);
}

static bool parse_integer(const char *text, size_t length, int64_t *out)
{
    bool negative = length > 0 && text[0] == '-';
    int64_t value = 0;
    for (size_t i = negative; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        int digit = text[i] - '0';
        if (__builtin_mul_overflow(value, 10, &value) ||
            (negative ? __builtin_sub_overflow(value, digit, &value) : __builtin_add_overflow(value, digit, &value)))
            return false;
    }
    *out = value;
    return length > (size_t)negative;
}

static int on_number(void *context, const char *text, size_t length)
{
    int64_t value = 0;
    bool integer = parse_integer(text, length, &value);
    return on_scalar(context, integer ? VALUE_INTEGER : VALUE_OTHER_NUMBER, bytes_of(text, length), value);
}

static int on_string(void *context, const unsigned char *s, size_t length)
{
    return on_scalar(context, VALUE_STRING, bytes_of(s, length), 0);
}

static int too_deep(struct reader *r)
{
    return ++r->depth > JSON_DEPTH_MAX;
}

static int open_posting(struct reader *r)
{
    r->postings = grown(r, r->postings, r->draft.posting_count, &r->posting_room, sizeof *r->postings);
    *current_posting(r) = (struct posting){0};
    return push(r, PLACE_POSTING);
}

static int open_ref(struct reader *r)
{
    r->refs = grown(r, r->refs, r->draft.external_ref_count, &r->ref_room, sizeof *r->refs);
    *current_ref(r) = (struct external_ref){0};
    return push(r, PLACE_REF);
}

static int open_draft(struct reader *r)
{
    r->draft = (struct draft){0};
    r->postings = NULL;
    r->refs = NULL;
    r->posting_room = r->ref_room = 0;
    return push(r, PLACE_DRAFT);
}

static int on_open_object(void *context)
{
    struct reader *r = context;
    if (too_deep(r))
        return refuse(r, "nested deeper than 127");
    if (passes_whole(r)) {
        r->skip_depth++;
        return 1;
    }
    const struct frame *f = top_frame(r);
    if (!f && r->top == PLACE_DRAFT)
        return open_draft(r);
    if (!f && r->top != PLACE_BATCH)
        return push(r, r->top);
    if (f && f->place == PLACE_BATCH)
        return open_draft(r);
    if (f && f->place == PLACE_POSTINGS)
        return open_posting(r);
    if (f && f->place == PLACE_REFS)
        return open_ref(r);
    if (f && f->place == PLACE_POSTING && f->field == POSTING_AMOUNT)
        return push(r, PLACE_AMOUNT);
    return refuse(r, "an object is not expected here");
}

static int on_key(void *context, const unsigned char *s, size_t length)
{
    struct reader *r = context;
    if (r->skip_depth > 0)
        return 1;
    struct frame *f = top_frame(r);
    f->field = -1;
    r->value_begin = yajl_get_bytes_consumed(r->yajl);
    for (size_t i = 0; i < fields_of[f->place].count; i++) {
        if (!bytes_equal(bytes_of(s, length), bytes_of_string(fields_of[f->place].fields[i].name)))
            continue;
        f->field = (int)i;
        if (f->seen & 1u << i)
            return refuse(r, "the field is given twice");
        f->seen |= 1u << i;
    }
    return 1;
}

/* The batch's drafts beyond the maximum are read for their form alone. */
static void close_draft(struct reader *r)
{
    r->draft.postings = r->postings;
    r->draft.external_refs = r->refs;
    if (r->top != PLACE_BATCH) {
        return;
    }
    if (r->draft_count < r->batch_max) {
        r->drafts = grown(r, r->drafts, r->draft_count, &r->draft_room, sizeof *r->drafts);
        r->drafts[r->draft_count] = r->draft;
    }
    r->draft_count++;
}

static int on_close_object(void *context)
{
    struct reader *r = context;
    r->depth--;
    if (r->skip_depth > 0)
        return --r->skip_depth > 0 ? 1 : passed_whole(r);
    struct frame *f = top_frame(r);
    for (size_t i = 0; i < fields_of[f->place].count; i++)
        if (fields_of[f->place].fields[i].required && !(f->seen & 1u << i))
            return refuse_missing(r, fields_of[f->place].fields[i].name);
    enum place closed = f->place;
    r->frame_count--;
    if (closed == PLACE_POSTING)
        r->draft.posting_count++;
    else if (closed == PLACE_REF)
        r->draft.external_ref_count++;
    else if (closed == PLACE_DRAFT)
        close_draft(r);
    return next_element(r, 1);
}

static int on_open_array(void *context)
{
    struct reader *r = context;
    if (too_deep(r))
        return refuse(r, "nested deeper than 127");
    if (passes_whole(r)) {
        r->skip_depth++;
        return 1;
    }
    const struct frame *f = top_frame(r);
    if (!f && r->top == PLACE_BATCH)
        return push(r, PLACE_BATCH);
    if (f && f->place == PLACE_DRAFT && f->field == DRAFT_POSTINGS)
        return push(r, PLACE_POSTINGS);
    if (f && f->place == PLACE_DRAFT && f->field == DRAFT_REFS)
        return push(r, PLACE_REFS);
    return refuse(r, "an array is not expected here");
}

static int on_close_array(void *context)
{
    struct reader *r = context;
    r->depth--;
    if (r->skip_depth > 0)
        return --r->skip_depth > 0 ? 1 : passed_whole(r);
    r->frame_count--;
    return next_element(r, 1);
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_boolean,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_open_object,
    .yajl_map_key = on_key,
    .yajl_end_map = on_close_object,
    .yajl_start_array = on_open_array,
    .yajl_end_array = on_close_array,
};

/* --- the body as a whole --- */

static bool hex4(const uint8_t *p, unsigned *out)
{
    *out = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t c = p[i] | 0x20;
        if (p[i] >= '0' && p[i] <= '9')
            *out = *out << 4 | (unsigned)(p[i] - '0');
        else if (c >= 'a' && c <= 'f')
            *out = *out << 4 | (unsigned)(c - 'a' + 10);
        else
            return false;
    }
    return true;
}

/* Offset of the first \u escape that is half a surrogate pair, or SIZE_MAX. What else is wrong is yajl's to find. */
static size_t find_lone_surrogate(struct bytes body)
{
    const uint8_t *end = body.base + body.len, *p = body.base;
    while (p < end && (p = memchr(p, '\\', (size_t)(end - p))) && end - p >= 6) {
        unsigned high, low;
        if (p[1] != 'u' || !hex4(p + 2, &high)) {
            p += 2;
            continue;
        }
        bool pair = high >= 0xd800 && high <= 0xdbff && end - p >= 12 && p[6] == '\\' && p[7] == 'u' &&
                    hex4(p + 8, &low) && low >= 0xdc00 && low <= 0xdfff;
        if (high >= 0xd800 && high <= 0xdfff && !pair)
            return (size_t)(p - body.base);
        p += pair ? 12 : 6;
    }
    return SIZE_MAX;
}

static int check_text(struct bytes body, struct body_error *error)
{
    if (body.len == 0)
        return fail_at(error, 0, "the body is empty");
    const uint8_t *bad = u8_check(body.base, body.len);
    if (bad)
        return fail_at(error, (size_t)(bad - body.base), "not valid UTF-8");
    size_t lone = find_lone_surrogate(body);
    return lone == SIZE_MAX ? 0 : fail_at(error, lone, "a lone surrogate");
}

static void *arena_yajl_alloc(void *arena, size_t n)
{
    /* yajl frees and grows by size-less calls: the size stands in front. */
    size_t *p = arena_alloc(arena, n + 16);
    *p = n;
    return (char *)p + 16;
}

static void *arena_yajl_realloc(void *arena, void *p, size_t n)
{
    void *more = arena_yajl_alloc(arena, n);
    if (p) {
        size_t old = *(size_t *)((char *)p - 16);
        memcpy(more, p, old < n ? old : n);
    }
    return more;
}

static void arena_yajl_free(void *arena, void *p)
{
    (void)arena, (void)p;
}

/* yajl's own words, in one line. */
static int parser_error(struct reader *r, yajl_status status)
{
    if (status == yajl_status_client_canceled)
        return EINVAL; /* a callback has said why */
    unsigned char *words = yajl_get_error(r->yajl, 0, NULL, 0);
    char text[160];
    int length = (int)strcspn((const char *)words, "\n");
    snprintf(text, sizeof text, "not JSON: %.*s", length, (const char *)words);
    yajl_free_error(r->yajl, words);
    return fail_at(r->error, yajl_get_bytes_consumed(r->yajl), text);
}

static int read_body(struct reader *r)
{
    int error = check_text(r->body, r->error);
    if (error)
        return error;
    yajl_alloc_funcs memory = {arena_yajl_alloc, arena_yajl_realloc, arena_yajl_free, r->arena};
    r->yajl = yajl_alloc(&callbacks, &memory, r);
    yajl_config(r->yajl, yajl_dont_validate_strings, 1);
    yajl_status status = yajl_parse(r->yajl, r->body.base, r->body.len);
    if (status == yajl_status_ok)
        status = yajl_complete_parse(r->yajl);
    error = status == yajl_status_ok ? 0 : parser_error(r, status);
    yajl_free(r->yajl);
    return error;
}

int draft_json_read(struct bytes body, struct arena *arena, struct draft *out, struct body_error *error)
{
    struct reader r = {.body = body, .arena = arena, .error = error, .top = PLACE_DRAFT};
    int failed = read_body(&r);
    *out = r.draft;
    return failed;
}

int draft_json_read_batch(struct bytes body, uint32_t max, struct arena *arena, struct draft **out, uint32_t *count,
                          struct body_error *error)
{
    struct reader r = {.body = body, .arena = arena, .error = error, .top = PLACE_BATCH, .batch_max = max};
    int failed = read_body(&r);
    if (failed)
        return failed;
    if (r.draft_count > max) {
        error->field = "body";
        snprintf(error->reason, sizeof error->reason,
                 "batch length %" PRIu32 " exceeds cap %" PRIu32 " (TALEA_HTTP_BATCH_MAX)", r.draft_count, max);
        return EINVAL;
    }
    *out = r.drafts;
    *count = r.draft_count;
    return 0;
}

/* A word that is none, quoted, cut on a character's boundary. */
static int refuse_word(struct body_error *error, const char *field, const char *what, struct bytes word)
{
    size_t length = word.len < 100 ? word.len : 100;
    while (length < word.len && length > 0 && (word.base[length] & 0xc0) == 0x80)
        length--;
    error->field = field;
    snprintf(error->reason, sizeof error->reason, "unknown %s '%.*s'", what, (int)length, (const char *)word.base);
    return EINVAL;
}

int asset_json_read(struct bytes body, struct arena *arena, struct asset_definition *out, struct body_error *error)
{
    struct reader r = {.body = body, .arena = arena, .error = error, .top = PLACE_ASSET};
    int failed = read_body(&r);
    if (failed)
        return failed;
    *out = r.asset;
    if (bytes_equal(r.class_word, BYTES_LITERAL("fiat")))
        out->class = ASSET_CLASS_FIAT;
    else if (bytes_equal(r.class_word, BYTES_LITERAL("crypto")))
        out->class = ASSET_CLASS_CRYPTO;
    else
        return refuse_word(error, "class", "asset class", r.class_word);
    return 0;
}

int account_json_read(struct bytes body, struct arena *arena, struct account_definition *out,
                      struct body_error *error)
{
    struct reader r = {.body = body, .arena = arena, .error = error, .top = PLACE_ACCOUNT};
    int failed = read_body(&r);
    if (failed)
        return failed;
    *out = r.account;
    out->kind = account_kind_of_word(r.kind_word);
    return out->kind ? 0 : refuse_word(error, "kind", "account kind", r.kind_word);
}
