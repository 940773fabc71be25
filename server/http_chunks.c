#include "server/http_chunks.h"

#include <stdbool.h>
#include <string.h>

#include "server/http_head.h"

#define SIZE_DIGITS_MAX 16 /* leading zeros, too */

enum state {
    SIZE,
    EXTENSION,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER_BEGIN,
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    END_LF,
    END,
};

/* One bit each in `suspects`. */
static const char *const heads_alone[] = {
    "content-length", "transfer-encoding", "host", "connection", "authorization", "expect", "te", "trailer",
};
#define SUSPECT_COUNT (sizeof heads_alone / sizeof *heads_alone)
_Static_assert(SUSPECT_COUNT <= 8, "a bit for each");

static bool is_control(uint8_t c)
{
    return (c < 0x20 && c != '\t') || c == 0x7f;
}

static enum http_fault read_size(struct http_chunks *c, uint8_t octet, uint32_t body_max)
{
    int digit = http_hex_digit(octet);
    if (digit >= 0) {
        if (c->digits == SIZE_DIGITS_MAX)
            return HTTP_FAULT_CHUNK_SIZE;
        c->digits++;
        if (c->left > UINT32_MAX >> 4)
            return HTTP_FAULT_BODY_LENGTH;
        c->left = c->left << 4 | (uint32_t)digit;
        return c->left > body_max - c->total ? HTTP_FAULT_BODY_LENGTH : HTTP_FAULT_NONE;
    }
    if (c->digits == 0 || (octet != ';' && octet != '\r'))
        return HTTP_FAULT_CHUNK_SIZE;
    c->total += c->left;
    c->state = octet == ';' ? EXTENSION : SIZE_LF;
    return HTTP_FAULT_NONE;
}

static void begin_line(struct http_chunks *c, enum state state)
{
    c->state = (uint8_t)state;
    c->line = 0;
    c->digits = 0;
    c->suspects = 0xff;
}

/* --- trailers --- */

/* The name's octet at `line`: which fields can it still be? */
static void suspect(struct http_chunks *c, uint8_t octet)
{
    for (unsigned n = 0; n < SUSPECT_COUNT; n++) {
        uint8_t lower = octet >= 'A' && octet <= 'Z' ? octet | 0x20 : octet;
        if (c->line >= strlen(heads_alone[n]) || heads_alone[n][c->line] != lower)
            c->suspects &= (uint8_t)~(1u << n);
    }
}

static bool is_convicted(const struct http_chunks *c)
{
    for (unsigned n = 0; n < SUSPECT_COUNT; n++)
        if (c->suspects & 1u << n && c->line == strlen(heads_alone[n]))
            return true;
    return false;
}

static enum http_fault read_trailer_name(struct http_chunks *c, uint8_t octet)
{
    if (octet == ':') {
        if (c->line == 0)
            return HTTP_FAULT_TRAILER;
        c->state = TRAILER_VALUE;
        return is_convicted(c) ? HTTP_FAULT_TRAILER_FIELD : HTTP_FAULT_NONE;
    }
    if (!http_is_token_octet(octet))
        return HTTP_FAULT_TRAILER;
    suspect(c, octet);
    c->state = TRAILER_NAME;
    return HTTP_FAULT_NONE;
}

/* --- octets and data --- */

/* An octet that is no data. */
static enum http_fault read_octet(struct http_chunks *c, uint8_t octet, uint32_t body_max)
{
    switch ((enum state)c->state) {
    case SIZE:
        return read_size(c, octet, body_max);
    case EXTENSION:
        if (octet == '\r')
            c->state = SIZE_LF;
        else if (is_control(octet))
            return HTTP_FAULT_CHUNK_LINE;
        return HTTP_FAULT_NONE;
    case SIZE_LF:
        if (octet != '\n')
            return HTTP_FAULT_CHUNK_LINE;
        begin_line(c, c->left ? DATA : TRAILER_BEGIN);
        return HTTP_FAULT_NONE;
    case DATA_CR:
        c->state = DATA_LF;
        return octet == '\r' ? HTTP_FAULT_NONE : HTTP_FAULT_CHUNK_END;
    case DATA_LF:
        begin_line(c, SIZE);
        return octet == '\n' ? HTTP_FAULT_NONE : HTTP_FAULT_CHUNK_END;
    case TRAILER_BEGIN:
        if (octet == '\r') {
            c->state = END_LF;
            return HTTP_FAULT_NONE;
        }
        return read_trailer_name(c, octet);
    case TRAILER_NAME:
        return read_trailer_name(c, octet);
    case TRAILER_VALUE:
        if (octet == '\r')
            c->state = TRAILER_LF;
        else if (is_control(octet))
            return HTTP_FAULT_TRAILER;
        return HTTP_FAULT_NONE;
    case TRAILER_LF:
        begin_line(c, TRAILER_BEGIN);
        return octet == '\n' ? HTTP_FAULT_NONE : HTTP_FAULT_TRAILER;
    case END_LF:
        c->state = END;
        return octet == '\n' ? HTTP_FAULT_NONE : HTTP_FAULT_TRAILER;
    case DATA:
    case END:
        break;
    }
    return HTTP_FAULT_CHUNK_LINE;
}

/* Counts the octet against the bounds of its line and of all trailers. */
static enum http_fault count_octet(struct http_chunks *c, enum state before)
{
    if (before <= EXTENSION && c->line >= HTTP_CHUNK_LINE_MAX)
        return HTTP_FAULT_CHUNK_LINE;
    if (before >= TRAILER_BEGIN && ++c->trailers > HTTP_TRAILERS_MAX_BYTES)
        return HTTP_FAULT_TRAILER_LENGTH;
    if (c->state == before || c->state == TRAILER_NAME || c->state == EXTENSION)
        c->line++;
    return HTTP_FAULT_NONE;
}

static size_t take_data(struct http_chunks *c, char *to, const char *from, size_t available)
{
    size_t length = c->left < available ? c->left : available;
    if (to != from)
        memmove(to, from, length);
    c->left -= (uint32_t)length;
    if (c->left == 0)
        c->state = DATA_CR;
    return length;
}

ssize_t http_chunks_decode(struct http_chunks *c, char *text, size_t *length, uint32_t body_max,
                           enum http_fault *fault)
{
    size_t in = 0, out = 0, size = *length;
    *fault = HTTP_FAULT_NONE;
    while (in < size && c->state != END && !*fault) {
        enum state before = (enum state)c->state;
        if (before == DATA) {
            size_t taken = take_data(c, text + out, text + in, size - in);
            in += taken;
            out += taken;
            continue;
        }
        *fault = read_octet(c, (uint8_t)text[in++], body_max);
        if (!*fault)
            *fault = count_octet(c, before);
    }
    if (*fault) {
        *length = out;
        return -1;
    }
    if (in != out)
        memmove(text + out, text + in, size - in);
    *length = out;
    return c->state == END ? (ssize_t)(size - in) : -2;
}
