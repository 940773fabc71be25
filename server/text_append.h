#ifndef TALEA_SERVER_TEXT_APPEND_H
#define TALEA_SERVER_TEXT_APPEND_H
/* Ready pieces of an answer, one behind the other; the caller has made the room. Each returns the new end. */
#include <string.h>

#include "common/bytes.h"

static inline char *text_append(char *end, const void *piece, size_t length)
{
    memcpy(end, piece, length);
    return end + length;
}

static inline char *text_append_bytes(char *end, struct bytes piece)
{
    return piece.len ? text_append(end, piece.base, piece.len) : end;
}

#define TEXT_APPEND_LITERAL(end, literal) text_append((end), (literal), sizeof(literal) - 1)

#endif
