#ifndef TALEA_CLIENT_SSE_H
#define TALEA_CLIENT_SSE_H
/*
 * Reads text/event-stream as it comes, in pieces of any size (HTML Living
 * Standard, 9.2.6): lines end with LF, CR or CRLF, an empty line ends an event, comments are
 * passed over, several data lines are joined with LF.
 */
#include <stdbool.h>
#include <stddef.h>

#include "client/text.h"

struct sse_reader {
    /* Called for each event that has data; false ends the reading. */
    bool (*on_event)(void *context, const char *id, const struct text *data);
    void *context;
    struct text line, id, data;
    bool after_cr;
    bool has_data;
};

/* False when on_event said so. */
bool sse_read(struct sse_reader *reader, const char *bytes, size_t n);
void sse_free(struct sse_reader *reader);

#endif
