#include "server/http_guard.h"

#include <string.h>
#include <strings.h>

#define GOES_ON (-2)

_Static_assert(sizeof(struct http_chunks) == 16 && offsetof(struct http_chunks, consume_trailer) == 8,
               "phr_chunked_decoder of h2o 2.2.5: size_t, then three chars");

static struct {
    uint32_t body_max;
    enum http_fault fault; /* of the request that is being handed over */
    bool first_line;
    uint64_t heads, chunks;
    struct http_head head; /* no room for it on the stack of each call */
} guard;

void http_guard_set_body_max(uint32_t bytes)
{
    guard.body_max = bytes;
}

enum http_fault http_guard_take(bool *first_line)
{
    enum http_fault fault = guard.fault;
    *first_line = guard.first_line;
    guard.fault = HTTP_FAULT_NONE;
    return fault;
}

uint64_t http_guard_heads(void)
{
    return guard.heads;
}

uint64_t http_guard_chunks(void)
{
    return guard.chunks;
}

/* What h2o is to see of a head with a fault. */
static void disarm(struct http_head *head)
{
    size_t kept = 0;
    guard.first_line = head->method.len > 0;
    if (!guard.first_line) {
        head->method = BYTES_LITERAL("GET");
        head->target = BYTES_LITERAL("/");
    }
    for (size_t i = 0; i < head->field_count; i++)
        if (head->fields[i].name_length == strlen(HTTP_REQUEST_ID) &&
            strncasecmp(head->fields[i].name, HTTP_REQUEST_ID, strlen(HTTP_REQUEST_ID)) == 0)
            head->fields[kept++] = head->fields[i];
    head->field_count = kept;
    head->minor_version = 0; /* after which h2o closes */
}

int phr_parse_request(const char *text, size_t length, const char **method, size_t *method_length, const char **path,
                      size_t *path_length, int *minor_version, struct http_field *headers, size_t *num_headers,
                      size_t last_length)
{
    struct http_head *head = &guard.head;
    guard.heads++;
    guard.first_line = true;
    int end = http_head_parse(text, length, last_length, guard.body_max, head, &guard.fault);
    if (end == 0)
        return GOES_ON;
    if (end > 0 && head->field_count > *num_headers)
        guard.fault = HTTP_FAULT_FIELD_COUNT;
    if (guard.fault) {
        disarm(head);
        end = (int)length;
    }
    *method = (const char *)head->method.base;
    *method_length = head->method.len;
    *path = (const char *)head->target.base;
    *path_length = head->target.len;
    *minor_version = head->minor_version;
    *num_headers = head->field_count;
    memcpy(headers, head->fields, head->field_count * sizeof *headers);
    return end;
}

ssize_t phr_decode_chunked(struct http_chunks *decoder, char *text, size_t *length)
{
    guard.chunks++;
    ssize_t rest = http_chunks_decode(decoder, text, length, guard.body_max, &guard.fault);
    /* The body seems to end here, and h2o hands the request over. */
    return guard.fault ? 0 : rest;
}
