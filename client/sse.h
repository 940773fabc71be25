#ifndef TALEA_CLIENT_SSE_H
#define TALEA_CLIENT_SSE_H
/*
 * Reads text/event-stream as it comes, in pieces of any size (HTML Living
 * Standard, 9.2.6): lines end with LF, CR or CRLF, an empty line ends an event,
 * comments and unknown fields are passed over, several data lines are joined
 * with LF, an id stays until another one comes. `retry` and `event` are not
 * looked at.
 */
#include <stdbool.h>
#include <stddef.h>

#include "client/text.h"

/* Zero-initialised but for the first two. */
struct sse_reader {
    /* Called for each event that has data; may change the data's bytes; false ends the reading. */
    bool (*on_event)(void *context, const char *id, struct text *data);
    void *context;
    struct text line, id, data;
    bool after_cr;
    bool has_data;
};

#define SSE_EVENT_MAX_BYTES (64u << 20)

/* 0, ECANCELED when on_event said so, EMSGSIZE when an event is over the limit; either ends the reading. */
int sse_read(struct sse_reader *reader, const char *bytes, size_t n) __attribute__((warn_unused_result));
void sse_free(struct sse_reader *reader);

#endif
