#ifndef TALEA_SERVER_EVENT_STREAM_H
#define TALEA_SERVER_EVENT_STREAM_H
/*
 * The event streams of one worker (SSE). A stream is a book and a cursor:
 * whatever the index holds behind the cursor is sent from the log, in pieces
 * of bounded size, each in a short look of its own, and only when the piece
 * before was written. Catching up and following live are the same thing, so
 * there is no seam where an event could be lost or sent twice.
 *
 * Fed by the arbiter's bell: it rings after each commit while a slot says that
 * it has streams open. The newest events of a book are read and worded once for
 * all its streams; where streams are many and commits too, several commits are
 * fed together, so that feeding takes no more than a fifth of a worker, and
 * nobody waits longer than 4 ms for that.
 */
#include <stdbool.h>
#include <stdint.h>

struct exchange;
struct worker;
struct event_streams;

struct event_streams *event_streams_create(struct worker *worker);

void handle_get_events(struct exchange *exchange);

/* When the ledger has grown, streams that are ready and behind are sent more. True: something may have been written. */
bool event_streams_feed(struct event_streams *streams);
/* How long the worker may sleep before the next feeding, at most `most`: they rest between, in favour of posts. */
int32_t event_streams_rest_ms(const struct event_streams *streams, int32_t most);
/*
 * Comments on idle streams, so that dead peers are noticed; once the worker is
 * leaving, breaks those whose peer takes nothing. Called about once a second.
 */
void event_streams_tick(struct event_streams *streams);
/* Ends those that are not in the middle of a write: the worker leaves. True when it ended any. */
bool event_streams_end(struct event_streams *streams);

#endif
