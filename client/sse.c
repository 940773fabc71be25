#include "client/sse.h"

#include <string.h>

static bool end_event(struct sse_reader *r)
{
    bool more = true;
    if (r->has_data)
        more = r->on_event(r->context, r->id.base ? r->id.base : "", &r->data);
    text_clear(&r->data);
    r->has_data = false;
    return more;
}

static bool end_line(struct sse_reader *r)
{
    if (r->line.len == 0)
        return end_event(r);
    const char *line = r->line.base;
    size_t name_len = strcspn(line, ":");
    const char *value = line[name_len] ? line + name_len + 1 : "";
    if (*value == ' ')
        value++;
    size_t value_len = r->line.len - (size_t)(value - line);
    if (name_len == 2 && strncmp(line, "id", 2) == 0) {
        text_clear(&r->id);
        text_add(&r->id, value, value_len);
    } else if (name_len == 4 && strncmp(line, "data", 4) == 0) {
        if (r->has_data)
            text_add_string(&r->data, "\n");
        text_add(&r->data, value, value_len);
        r->has_data = true;
    }
    return true;
}

bool sse_read(struct sse_reader *r, const char *bytes, size_t n)
{
    bool more = true;
    for (size_t i = 0; more && i < n; i++) {
        bool lf_of_crlf = r->after_cr && bytes[i] == '\n';
        r->after_cr = bytes[i] == '\r';
        if (lf_of_crlf)
            continue;
        if (bytes[i] == '\n' || bytes[i] == '\r') {
            more = end_line(r);
            text_clear(&r->line);
        } else {
            text_add(&r->line, bytes + i, 1);
        }
    }
    return more;
}

void sse_free(struct sse_reader *r)
{
    text_free(&r->line);
    text_free(&r->id);
    text_free(&r->data);
}
