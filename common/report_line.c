/*
 * Text is escaped byte by byte; JSON is yajl_gen's, which takes its memory from
 * a block on the stack. Both cut what is long before it is written, by what it
 * will take in the line, so that a JSON line is always whole: each field has
 * its share, and the message the rest.
 */
#include "common/report_line.h"

#include <assert.h>
#include <stdio.h>
#include <unistd.h>

#include <unistr.h>
#include <yajl/yajl_gen.h>

#include "common/rfc3339.h"

#define CUT_MARK "..."
#define CUT_MARK_LENGTH (sizeof CUT_MARK - 1)
#define VALUE_BYTES_MAX 160 /* a field's value, as it stands in the line */
#define NAME_BYTES_MAX 24
#define FIELD_BYTES_MAX (NAME_BYTES_MAX + VALUE_BYTES_MAX + 8)
#define JSON_FRAME_BYTES 256 /* time, level, process, pid, and their names */
#define GENERATOR_BYTES 4096 /* yajl's own; the struct is some 600 */
#define MS_TEXT_MAX 32

_Static_assert(JSON_FRAME_BYTES + REPORT_FIELDS_MAX * FIELD_BYTES_MAX < REPORT_LINE_BYTES_MAX - 512,
               "with all its fields a line still has room for a message");

static const struct {
    const char *word;
    int journal_priority; /* of syslog(3) */
} levels[] = {
    [REPORT_ERROR] = {"error", 3},
    [REPORT_WARNING] = {"warning", 4},
    [REPORT_INFO] = {"info", 6},
    [REPORT_DEBUG] = {"debug", 7},
};

/* A line, or a part of one, that is being written. */
struct out {
    char *base;
    size_t length;
    size_t end; /* nothing is written at it or behind */
};

static void put(struct out *out, const char *bytes, size_t count)
{
    if (count > out->end - out->length)
        count = out->end - out->length;
    memcpy(out->base + out->length, bytes, count);
    out->length += count;
}

static void put_string(struct out *out, const char *text)
{
    put(out, text, strlen(text));
}

/* 2026-06-04T12:00:00.123Z */
static int format_now(char out[static RFC3339_TEXT_MAX])
{
    int length = rfc3339_format_us(clock_now_us(), out) - 4; /* not the microseconds */
    out[length++] = 'Z';
    return length;
}

static int format_ms(uint64_t ns, char out[static MS_TEXT_MAX])
{
    return snprintf(out, MS_TEXT_MAX, "%llu.%03llu", (unsigned long long)(ns / 1000000),
                    (unsigned long long)(ns / 1000 % 1000));
}

static bool is_left_out(const struct report_field *field)
{
    assert(strlen(field->name) <= NAME_BYTES_MAX);
    return field->kind == REPORT_FIELD_TEXT && !field->text.base;
}

/* --- text --- */

/* How many bytes at p are one control character: ASCII's, or U+0080..U+009F in UTF-8; 0 when it is none. */
static size_t control_length(struct bytes text)
{
    uint8_t c = text.base[0], next = text.len > 1 ? text.base[1] : 0;
    if (c < 0x20 || c == 0x7f)
        return 1;
    return c == 0xc2 && next >= 0x80 && next <= 0x9f ? 2 : 0;
}

/* Appends the text, escaped, and cut with a mark when it would pass `end`, behind which there is room for the mark. */
static void put_escaped(struct out *out, struct bytes text, size_t end, const char *also_escaped)
{
    while (text.len > 0) {
        size_t escaped = control_length(text);
        if (escaped == 0 && strchr(also_escaped, text.base[0]))
            escaped = 1;
        if (out->length + (escaped ? 4 * escaped : 1) > end) {
            put_string(out, CUT_MARK);
            return;
        }
        size_t taken = escaped ? escaped : 1;
        if (!escaped)
            put(out, (const char *)text.base, 1);
        for (size_t i = 0; i < escaped; i++) {
            char code[5];
            snprintf(code, sizeof code, "\\x%02x", (unsigned)text.base[i]);
            put(out, code, 4);
        }
        text = bytes_of(text.base + taken, text.len - taken);
    }
}

/* Could a reader that splits the line at its spaces and `=` not find the value's end? */
static bool needs_quotes(struct bytes value)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.base[i] <= ' ' || strchr("\"\\=", value.base[i]))
            return true;
    return value.len == 0;
}

static void put_text_field(struct out *out, const struct report_field *field)
{
    char number[MS_TEXT_MAX];
    if (is_left_out(field))
        return;
    put_string(out, " ");
    put_string(out, field->name);
    put_string(out, "=");
    if (field->kind == REPORT_FIELD_TEXT) {
        const char *quote = needs_quotes(field->text) ? "\"" : "";
        put_string(out, quote);
        put_escaped(out, field->text, out->length + VALUE_BYTES_MAX - CUT_MARK_LENGTH, "\"\\");
        put_string(out, quote);
        return;
    }
    if (field->kind == REPORT_FIELD_MS)
        format_ms(field->number, number);
    else
        snprintf(number, sizeof number, "%llu", (unsigned long long)field->number);
    put_string(out, number);
}

static void put_prefix(struct out *out, const struct report_line *line, bool for_journal)
{
    char prefix[160], now[RFC3339_TEXT_MAX];
    if (for_journal)
        snprintf(prefix, sizeof prefix, "<%d>%s[%d]: ", levels[line->level].journal_priority, line->process,
                 (int)getpid());
    else
        snprintf(prefix, sizeof prefix, "%.*s %s %s[%d]: ", format_now(now), now, levels[line->level].word,
                 line->process, (int)getpid());
    put_string(out, prefix);
}

/* The message with room behind it for `rest`, then that, then the newline. */
static size_t finish_text(struct out *out, const char *message, struct bytes rest)
{
    put_escaped(out, bytes_of_string(message), out->end - rest.len - CUT_MARK_LENGTH - 1, "");
    put(out, (const char *)rest.base, rest.len);
    put(out, "\n", 1);
    return out->length;
}

size_t report_line_text(const struct report_line *line, bool for_journal, char out[static REPORT_LINE_BYTES_MAX])
{
    char rest[REPORT_FIELDS_MAX * FIELD_BYTES_MAX];
    struct out text = {.base = out, .end = REPORT_LINE_BYTES_MAX};
    struct out fields = {.base = rest, .end = sizeof rest};
    assert(line->field_count <= REPORT_FIELDS_MAX);
    put_prefix(&text, line, for_journal);
    for (size_t i = 0; i < line->field_count; i++)
        put_text_field(&fields, &line->fields[i]);
    return finish_text(&text, line->message, bytes_of(rest, fields.length));
}

size_t report_line_plain(const char *message, char out[static REPORT_LINE_BYTES_MAX])
{
    struct out text = {.base = out, .end = REPORT_LINE_BYTES_MAX};
    put_string(&text, "talead: ");
    return finish_text(&text, message, BYTES_LITERAL(""));
}

/* --- JSON --- */

/* Memory for yajl: handed out once, never taken back. */
struct block {
    _Alignas(max_align_t) char base[GENERATOR_BYTES];
    size_t used;
};

static void *take_memory(void *context, size_t size)
{
    struct block *block = context;
    size_t begin = (block->used + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    if (begin > sizeof block->base || size > sizeof block->base - begin)
        return NULL;
    block->used = begin + size;
    return block->base + begin;
}

/* yajl grows nothing of its own while it prints through a callback. */
static void *grow_memory(void *context, void *old, size_t size)
{
    return old ? NULL : take_memory(context, size);
}

static void give_memory_back(void *context, void *old)
{
    (void)context, (void)old;
}

static void print(void *context, const char *text, size_t length)
{
    put(context, text, length);
}

/* What one character takes in a JSON string. */
static size_t json_cost(const uint8_t *character, int length)
{
    if (*character < 0x20)
        return 6;
    return *character == '"' || *character == '\\' ? 2 : (size_t)length;
}

/*
 * A JSON string that takes no more than `room` in the line (256 at least); what
 * is no UTF-8 shows as U+FFFD. DEL and U+0080..U+009F stand as they are: JSON
 * has no quarrel with them, and whoever reads it prints it in a way of their own.
 */
static void put_json_string(yajl_gen gen, struct bytes text, size_t room)
{
    char clean[REPORT_LINE_BYTES_MAX];
    struct out out = {.base = clean, .end = sizeof clean};
    size_t cost = sizeof "\"\"" + CUT_MARK_LENGTH;
    while (text.len > 0) {
        ucs4_t code;
        int taken = u8_mbtouc(&code, text.base, text.len); /* U+FFFD for a byte, or some, that make no character */
        uint8_t character[6];
        int length = u8_uctomb(character, code, sizeof character);
        cost += json_cost(character, length);
        if (cost > room) {
            put_string(&out, CUT_MARK);
            break;
        }
        put(&out, (const char *)character, (size_t)length);
        text = bytes_of(text.base + taken, text.len - (size_t)taken);
    }
    yajl_gen_string(gen, (const uint8_t *)clean, out.length);
}

static void put_json_name(yajl_gen gen, const char *name)
{
    yajl_gen_string(gen, (const uint8_t *)name, strlen(name));
}

static void put_json_pair(yajl_gen gen, const char *name, struct bytes text, size_t room)
{
    put_json_name(gen, name);
    put_json_string(gen, text, room);
}

static void put_json_field(yajl_gen gen, const struct report_field *field)
{
    char number[MS_TEXT_MAX];
    if (is_left_out(field))
        return;
    put_json_name(gen, field->name);
    if (field->kind == REPORT_FIELD_TEXT)
        put_json_string(gen, field->text, VALUE_BYTES_MAX);
    else if (field->kind == REPORT_FIELD_MS)
        yajl_gen_number(gen, number, (size_t)format_ms(field->number, number));
    else
        yajl_gen_number(gen, number,
                        (size_t)snprintf(number, sizeof number, "%llu", (unsigned long long)field->number));
}

size_t report_line_json(const struct report_line *line, char out[static REPORT_LINE_BYTES_MAX])
{
    struct block block;
    struct out json = {.base = out, .end = REPORT_LINE_BYTES_MAX};
    yajl_alloc_funcs memory = {take_memory, grow_memory, give_memory_back, &block};
    char now[RFC3339_TEXT_MAX];
    assert(line->field_count <= REPORT_FIELDS_MAX);
    block.used = 0;
    yajl_gen gen = yajl_gen_alloc(&memory);
    if (!gen) /* a yajl with larger structs */
        return report_line_text(line, false, out);
    yajl_gen_config(gen, yajl_gen_print_callback, print, &json);
    yajl_gen_map_open(gen);
    put_json_pair(gen, "time", bytes_of(now, (size_t)format_now(now)), RFC3339_TEXT_MAX + 16);
    put_json_pair(gen, "level", bytes_of_string(levels[line->level].word), 32);
    put_json_pair(gen, "process", bytes_of_string(line->process), 64);
    put_json_name(gen, "pid");
    yajl_gen_integer(gen, getpid());
    put_json_pair(gen, "message", bytes_of_string(line->message),
                  REPORT_LINE_BYTES_MAX - JSON_FRAME_BYTES - line->field_count * FIELD_BYTES_MAX);
    for (size_t i = 0; i < line->field_count; i++)
        put_json_field(gen, &line->fields[i]);
    yajl_gen_map_close(gen);
    put(&json, "\n", 1);
    return json.length;
}
