/* Gathers bytes into lines, and lines into events. What is not ended by an empty line is never an event. */
#include "client/sse.h"

#include <errno.h>
#include <string.h>

static int end_event(struct sse_reader *r)
{
    bool more = !r->has_data || r->on_event(r->context, r->id.base ? r->id.base : "", &r->data);
    text_clear(&r->data);
    r->has_data = false;
    return more ? 0 : ECANCELED;
}

static int add_data(struct sse_reader *r, const char *value, size_t length)
{
    if (r->data.len + length >= SSE_EVENT_MAX_BYTES)
        return EMSGSIZE;
    if (r->has_data)
        text_add_string(&r->data, "\n");
    text_add(&r->data, value, length);
    r->has_data = true;
    return 0;
}

static void set_id(struct sse_reader *r, const char *value, size_t length)
{
    if (memchr(value, '\0', length))
        return;
    text_clear(&r->id);
    text_add(&r->id, value, length);
}

static int end_line(struct sse_reader *r)
{
    if (r->line.len == 0)
        return end_event(r);
    const char *line = r->line.base, *end = line + r->line.len;
    const char *colon = memchr(line, ':', r->line.len);
    size_t name_len = (size_t)((colon ? colon : end) - line);
    const char *value = colon ? colon + 1 : end;
    if (value < end && *value == ' ')
        value++;
    if (name_len == 4 && memcmp(line, "data", 4) == 0)
        return add_data(r, value, (size_t)(end - value));
    if (name_len == 2 && memcmp(line, "id", 2) == 0)
        set_id(r, value, (size_t)(end - value));
    return 0;
}

static size_t line_part(const char *bytes, size_t n)
{
    size_t length = 0;
    while (length < n && bytes[length] != '\n' && bytes[length] != '\r')
        length++;
    return length;
}

int sse_read(struct sse_reader *r, const char *bytes, size_t n)
{
    int error = 0;
    for (size_t i = 0; !error && i < n;) {
        if (r->after_cr && bytes[i] == '\n') {
            r->after_cr = false;
            i++;
            continue;
        }
        size_t length = line_part(bytes + i, n - i);
        if (r->line.len + length > SSE_EVENT_MAX_BYTES)
            return EMSGSIZE;
        text_add(&r->line, bytes + i, length);
        i += length;
        r->after_cr = i < n && bytes[i] == '\r';
        if (i < n) {
            error = end_line(r);
            text_clear(&r->line);
            i++;
        }
    }
    return error;
}

void sse_free(struct sse_reader *r)
{
    text_free(&r->line);
    text_free(&r->id);
    text_free(&r->data);
}
