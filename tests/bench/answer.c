#include "tests/bench/answer.h"

#include <string.h>
#include <strings.h>

#define FIELDS_MAX 32
#define HEAD_MAX_BYTES 16384

struct field { /* phr_header */
    const char *name;
    size_t name_length;
    const char *value;
    size_t value_length;
};

/* Of picohttpparser.h. */
int phr_parse_response(const char *text, size_t length, int *minor_version, int *status, const char **reason,
                       size_t *reason_length, struct field *fields, size_t *field_count, size_t last_length);
ssize_t phr_decode_chunked(struct chunk_decoder *decoder, char *text, size_t *length);

ssize_t answer_decode_chunks(struct chunk_decoder *decoder, char *base, size_t *n)
{
    return phr_decode_chunked(decoder, base, n);
}

/* --- heads --- */

static bool is_word(const char *text, size_t length, const char *word)
{
    return length == strlen(word) && strncasecmp(text, word, length) == 0;
}

static bool read_size(const struct field *field, size_t *out)
{
    *out = 0;
    for (size_t i = 0; i < field->value_length; i++) {
        char c = field->value[i];
        if (c < '0' || c > '9' || *out > SIZE_MAX / 16)
            return false;
        *out = *out * 10 + (size_t)(c - '0');
    }
    return field->value_length > 0;
}

/* Notes what a field says of the message. Lengths first: most fields are told apart by them alone. */
static bool take_field(struct answer_reader *r, const struct field *field, bool *has_length)
{
    if (field->name_length == 14 && is_word(field->name, 14, "content-length")) {
        *has_length = true;
        return read_size(field, &r->body_length);
    }
    if (field->name_length == 17 && is_word(field->name, 17, "transfer-encoding"))
        r->is_chunked = is_word(field->value, field->value_length, "chunked");
    if (field->name_length == 10 && is_word(field->name, 10, "connection"))
        r->closes = is_word(field->value, field->value_length, "close");
    return true;
}

enum answer_state answer_read_head(struct answer_reader *r, const char *base, size_t length)
{
    struct field fields[FIELDS_MAX];
    size_t count = FIELDS_MAX, reason_length;
    const char *reason;
    int minor;
    int head = phr_parse_response(base, length, &minor, &r->status, &reason, &reason_length, fields, &count, 0);
    if (head == -2)
        return length < HEAD_MAX_BYTES ? ANSWER_GOES_ON : ANSWER_BROKEN;
    if (head < 0 || r->status < 200 || r->status > 599)
        return ANSWER_BROKEN;
    bool has_length = r->status == 204 || r->status == 304;
    for (size_t i = 0; i < count; i++)
        if (!take_field(r, &fields[i], &has_length))
            return ANSWER_BROKEN;
    if (!has_length && !r->is_chunked)
        return ANSWER_BROKEN;
    r->closes = r->closes || minor == 0;
    r->has_head = true;
    r->head_length = (size_t)head;
    r->decoder.consume_trailer = 1;
    return ANSWER_COMPLETE;
}

/* --- bodies --- */

static enum answer_state read_chunks(struct answer_reader *r, char *base, size_t *length)
{
    size_t from = r->head_length + r->body_length, size = *length - from;
    ssize_t behind = phr_decode_chunked(&r->decoder, base + from, &size);
    r->body_length += size;
    *length = r->head_length + r->body_length;
    if (behind == -2)
        return ANSWER_GOES_ON;
    return behind == 0 ? ANSWER_COMPLETE : ANSWER_BROKEN;
}

enum answer_state answer_read(struct answer_reader *r, char *base, size_t *length)
{
    if (!r->has_head) {
        enum answer_state state = answer_read_head(r, base, *length);
        if (state != ANSWER_COMPLETE)
            return state;
        if (r->is_chunked)
            r->body_length = 0;
    }
    if (r->is_chunked)
        return read_chunks(r, base, length);
    if (*length < r->head_length + r->body_length)
        return ANSWER_GOES_ON;
    return *length == r->head_length + r->body_length ? ANSWER_COMPLETE : ANSWER_BROKEN;
}

/* --- what a body says --- */

/* Behind the string that begins at p, whose opening quote it is; NULL: it does not end. */
static const char *skip_string(const char *p, const char *end)
{
    for (p++; p < end && *p != '"'; p++)
        p += *p == '\\';
    return p < end ? p + 1 : NULL;
}

static uint64_t read_number(const char *p, const char *end)
{
    uint64_t n = 0;
    for (; p < end && *p >= '0' && *p <= '9'; p++)
        n = n * 10 + (uint64_t)(*p - '0');
    return n;
}

static bool is_key(const char *name, size_t length, const char *key, size_t key_length)
{
    return length == key_length && memcmp(name, key, key_length) == 0;
}
#define IS_KEY(name, length, key) is_key(name, length, key, sizeof key - 1)

/* A member of an answer's object: its name within quotes, and what is behind the colon. */
static void take_member(struct posted *out, const char *name, size_t length, const char *value, const char *end)
{
    if (IS_KEY(name, length, "seq"))
        out->seq = read_number(value, end);
    else if (IS_KEY(name, length, "deduplicated"))
        out->deduplicated = value < end && *value == 't';
    else if (IS_KEY(name, length, "at"))
        out->at = value + 1;
    else if (IS_KEY(name, length, "tx_id"))
        out->tx_id = value + 1;
    else if (IS_KEY(name, length, "error"))
        out->is_overloaded = end - value > 10 && memcmp(value, "\"overloaded", 11) == 0;
}

bool posted_next(const char **cursor, const char *end, struct posted *out)
{
    *out = (struct posted){0};
    const char *p = memchr(*cursor, '{', (size_t)(end - *cursor));
    if (!p)
        return false;
    for (p++; p < end && *p != '}';) {
        if (*p != '"') {
            p++;
            continue;
        }
        const char *behind = skip_string(p, end);
        if (!behind)
            return false;
        if (behind < end && *behind == ':')
            take_member(out, p + 1, (size_t)(behind - p - 2), behind + 1, end);
        p = behind;
    }
    *cursor = p < end ? p + 1 : end;
    return p < end;
}

uint64_t page_next(const char *body, size_t length)
{
    const char *found = memrchr(body, ':', length);
    return found ? read_number(found + 1, body + length) : 0;
}
