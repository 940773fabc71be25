/*
 * Event streams from both ends: the cursor that a client sends, and the stream that the client reads.
 *
 * The cursor is never negative, and both ends read numbers alike. The reader sees the same events however the stream
 * is cut into pieces (the first octet says how long they are) and its lines are ended, and
 * what a server would send reads back as sent.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/number.h"
#include "client/sse.h"
#include "common/buffer.h"
#include "server/query.h"
#include "tests/fuzz/fuzz.h"

static bool note(void *context, const char *id, struct text *data)
{
    struct buffer *seen = context;
    buffer_printf(seen, "%zu:%s %zu:", strlen(id), id, data->len);
    if (data->len)
        buffer_append(seen, data->base, data->len);
    return true;
}

/* All events of the stream, one behind the other, with their lengths. */
static void read_in_pieces(struct bytes stream, size_t piece, struct buffer *seen)
{
    struct sse_reader reader = {.on_event = note, .context = seen};
    for (size_t at = 0; at < stream.len; at += piece) {
        size_t n = piece < stream.len - at ? piece : stream.len - at;
        FUZZ_HOLDS(sse_read(&reader, (const char *)stream.base + at, n) == 0);
    }
    sse_free(&reader);
}

static void check_pieces(struct bytes stream, size_t piece)
{
    struct buffer whole = {0}, single = {0}, some = {0};
    read_in_pieces(stream, stream.len + 1, &whole);
    read_in_pieces(stream, 1, &single);
    read_in_pieces(stream, piece, &some);
    FUZZ_HOLDS(bytes_equal(buffer_bytes(&whole), buffer_bytes(&single)));
    FUZZ_HOLDS(bytes_equal(buffer_bytes(&whole), buffer_bytes(&some)));
    buffer_free(&whole);
    buffer_free(&single);
    buffer_free(&some);
}

/* Lines may end in LF, CR, or both; the events are the same. */
static void check_line_ends(struct bytes input)
{
    static const char *const ends[] = {"\n", "\r", "\r\n"};
    struct buffer seen[3] = {{0}};
    for (size_t e = 0; e < 3; e++) {
        struct buffer stream = {0};
        for (size_t i = 0; i < input.len; i++)
            if (input.base[i] == '\n' || input.base[i] == '\r')
                buffer_append_string(&stream, ends[e]);
            else
                buffer_append(&stream, &input.base[i], 1);
        read_in_pieces(buffer_bytes(&stream), 3, &seen[e]);
        buffer_free(&stream);
    }
    FUZZ_HOLDS(bytes_equal(buffer_bytes(&seen[0]), buffer_bytes(&seen[1])));
    FUZZ_HOLDS(bytes_equal(buffer_bytes(&seen[0]), buffer_bytes(&seen[2])));
    for (size_t e = 0; e < 3; e++)
        buffer_free(&seen[e]);
}

/* As the server frames it: id, data, an empty line. Data is JSON, which holds no line's end. */
static void check_sent(struct bytes input)
{
    struct buffer stream = {0}, expected = {0}, seen = {0}, data = {0};
    for (size_t i = 0; i < input.len; i++)
        if (input.base[i] != '\n' && input.base[i] != '\r')
            buffer_append(&data, &input.base[i], 1);
    for (uint64_t seq = 1; seq <= 2; seq++) {
        buffer_printf(&stream, ":\n\nid: %" PRIu64 "\ndata: ", seq);
        buffer_append(&stream, data.base, data.len);
        buffer_append_string(&stream, "\n\n");
        buffer_printf(&expected, "1:%" PRIu64 " %zu:", seq, data.len);
        buffer_append(&expected, data.base, data.len);
    }
    read_in_pieces(buffer_bytes(&stream), 7, &seen);
    FUZZ_HOLDS(bytes_equal(buffer_bytes(&seen), buffer_bytes(&expected)));
    buffer_free(&stream);
    buffer_free(&expected);
    buffer_free(&seen);
    buffer_free(&data);
}

static void check_cursor(struct bytes text)
{
    uint64_t cursor = 0, again = 1;
    int64_t number = 77;
    int error = parse_sequence(text, &cursor);
    bool client_took = number_parse((const char *)text.base, text.len, &number);
    FUZZ_HOLDS(error == 0 || error == EINVAL);
    FUZZ_HOLDS(client_took == (error == 0) && (client_took || number == 77));
    if (error)
        return;
    FUZZ_HOLDS(cursor <= INT64_MAX && cursor == (number < 0 ? 0 : (uint64_t)number));
    char written[32];
    int n = snprintf(written, sizeof written, "%" PRIu64, cursor);
    FUZZ_HOLDS(parse_sequence(bytes_of(written, (size_t)n), &again) == 0 && again == cursor);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct bytes input = bytes_of(data + 1, size - 1), rest;
    check_pieces(input, 1 + data[0] % 64);
    check_line_ends(input);
    check_sent(input);
    struct bytes line = fuzz_cut(input, "\n", &rest);
    uint8_t *copy = fuzz_copy(line);
    check_cursor(bytes_of(copy, line.len));
    free(copy);
    return 0;
}
