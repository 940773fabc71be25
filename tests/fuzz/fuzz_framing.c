/*
 * Requests as HTTP: heads, and chunked bodies. The first octet says which, and into what pieces it is cut.
 *
 * A head: however its text grows, the answer is the same; what is taken has one length, one host, and no octet that
 * another reader could take for an end, and written anew it is taken as the same. A body: its data is the same
 * whatever pieces it comes in, is no more than announced and no more than may be, and chunked anew reads the same.
 */
#include <stdlib.h>
#include <strings.h>

#include "common/buffer.h"
#include "server/http_guard.h"
#include "tests/fuzz/fuzz.h"

#define BODY_MAX 4096

static struct http_head head, again;

/* --- heads --- */

static struct bytes name_of(const struct http_field *field)
{
    return bytes_of(field->name, field->name_length);
}

static struct bytes value_of(const struct http_field *field)
{
    return bytes_of(field->value, field->value_length);
}

static void check_inside(struct bytes slice, struct bytes input)
{
    FUZZ_HOLDS(slice.len == 0 || (slice.base >= input.base && slice.base + slice.len <= input.base + input.len));
    FUZZ_HOLDS(!memchr(slice.base, '\r', slice.len) && !memchr(slice.base, '\n', slice.len));
    FUZZ_HOLDS(!memchr(slice.base, '\0', slice.len));
}

static int count(const char *name)
{
    int n = 0;
    for (size_t i = 0; i < head.field_count; i++)
        n += head.fields[i].name_length == strlen(name) &&
             strncasecmp(head.fields[i].name, name, strlen(name)) == 0;
    return n;
}

static void check_head(struct bytes input)
{
    FUZZ_HOLDS(head.method.len > 0 && head.target.len > 0 && head.target.len <= HTTP_TARGET_MAX_BYTES);
    FUZZ_HOLDS(head.minor_version == 0 || head.minor_version == 1);
    FUZZ_HOLDS(head.field_count <= HTTP_FIELDS_MAX);
    check_inside(head.method, input);
    check_inside(head.target, input);
    for (size_t i = 0; i < head.field_count; i++) {
        check_inside(name_of(&head.fields[i]), input);
        check_inside(value_of(&head.fields[i]), input);
    }
    FUZZ_HOLDS(count("host") <= 1 && (count("host") == 1 || head.minor_version == 0));
    FUZZ_HOLDS(count("content-length") + count("transfer-encoding") <= 1);
}

static void check_written_anew(void)
{
    struct buffer text = {0};
    enum http_fault fault;
    buffer_append(&text, head.method.base, head.method.len);
    buffer_append_string(&text, " ");
    buffer_append(&text, head.target.base, head.target.len);
    buffer_printf(&text, " HTTP/1.%d\r\n", head.minor_version);
    for (size_t i = 0; i < head.field_count; i++) {
        buffer_append(&text, head.fields[i].name, head.fields[i].name_length);
        buffer_append_string(&text, ":");
        buffer_append(&text, head.fields[i].value, head.fields[i].value_length);
        buffer_append_string(&text, "\r\n");
    }
    buffer_append_string(&text, "\r\n");
    int length = http_head_parse((const char *)text.base, text.len, 0, BODY_MAX, &again, &fault);
    FUZZ_HOLDS(length == (int)text.len && again.field_count == head.field_count);
    FUZZ_HOLDS(bytes_equal(again.method, head.method) && bytes_equal(again.target, head.target));
    for (size_t i = 0; i < head.field_count; i++)
        FUZZ_HOLDS(bytes_equal(name_of(&again.fields[i]), name_of(&head.fields[i])) &&
                   bytes_equal(value_of(&again.fields[i]), value_of(&head.fields[i])));
    buffer_free(&text);
}

/* As it comes over a connection: more of it each time, in memory that ends there. */
static int parse_growing(struct bytes input, size_t piece, enum http_fault *fault)
{
    int length = 0;
    size_t seen = 0;
    while (seen < input.len && length == 0) {
        size_t n = input.len - seen < piece ? input.len : seen + piece;
        uint8_t *text = fuzz_copy(bytes_of(input.base, n));
        length = http_head_parse((const char *)text, n, seen, BODY_MAX, &again, fault);
        free(text);
        seen = n;
    }
    return length;
}

static void run_head(struct bytes input, size_t piece)
{
    enum http_fault fault, growing;
    int length = http_head_parse((const char *)input.base, input.len, 0, BODY_MAX, &head, &fault);
    FUZZ_HOLDS(length >= -1 && length <= (int)input.len && (length == -1) == (fault != HTTP_FAULT_NONE));
    FUZZ_HOLDS(parse_growing(input, piece, &growing) == length);
    FUZZ_HOLDS(length == 0 || growing == fault);
    if (length <= 0)
        return;
    check_head(bytes_of(input.base, (size_t)length));
    check_written_anew();
}

/* --- chunked bodies --- */

struct decoded {
    ssize_t rest; /* -1: refused, -2: goes on */
    enum http_fault fault;
    struct buffer data;
};

static void decode(struct bytes input, size_t piece, struct decoded *out)
{
    struct http_chunks chunks = {.consume_trailer = 1};
    *out = (struct decoded){.rest = -2};
    for (size_t at = 0; at < input.len && out->rest == -2; at += piece) {
        size_t size = input.len - at < piece ? input.len - at : piece, length = size;
        char *text = (char *)fuzz_copy(bytes_of(input.base + at, size));
        out->rest = http_chunks_decode(&chunks, text, &length, BODY_MAX, &out->fault);
        FUZZ_HOLDS(length <= size && out->rest >= -2 && out->rest <= (ssize_t)(size - length));
        if (length > 0)
            buffer_append(&out->data, text, length);
        if (out->rest >= 0)
            out->rest += (ssize_t)(input.len - at - size);
        free(text);
    }
    FUZZ_HOLDS(out->data.len <= BODY_MAX && (out->rest == -1) == (out->fault != HTTP_FAULT_NONE));
}

static void check_chunked_anew(struct bytes data)
{
    struct buffer text = {0};
    struct decoded result;
    for (size_t at = 0; at < data.len; at += 7) {
        size_t n = data.len - at < 7 ? data.len - at : 7;
        buffer_printf(&text, "%zX;x=\"%zu\"\r\n", n, at);
        buffer_append(&text, data.base + at, n);
        buffer_append_string(&text, "\r\n");
    }
    buffer_append_string(&text, "0\r\nA: b\r\n\r\nbehind");
    decode(buffer_bytes(&text), 11, &result);
    FUZZ_HOLDS(result.rest == 6 && bytes_equal(buffer_bytes(&result.data), data));
    buffer_free(&result.data);
    buffer_free(&text);
}

static void run_body(struct bytes input, size_t piece)
{
    struct decoded whole, pieces;
    decode(input, input.len + 1, &whole);
    decode(input, piece, &pieces);
    FUZZ_HOLDS(whole.rest == pieces.rest && whole.fault == pieces.fault);
    FUZZ_HOLDS(bytes_equal(buffer_bytes(&whole.data), buffer_bytes(&pieces.data)));
    if (whole.rest >= 0)
        check_chunked_anew(buffer_bytes(&whole.data));
    buffer_free(&whole.data);
    buffer_free(&pieces.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct bytes input = bytes_of(data + 1, size - 1);
    size_t piece = 1 + data[0] / 2;
    if (data[0] & 1)
        run_body(input, piece);
    else
        run_head(input, piece);
    return 0;
}
