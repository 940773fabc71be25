#ifndef TALEA_BENCH_EVENT_FEED_H
#define TALEA_BENCH_EVENT_FEED_H
/* One stream of a book's events, read as it comes. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/bench/answer.h"
#include "tests/bench/target.h"

struct event_feed {
    int fd; /* -1: closed */
    char *base;
    size_t length, text_length, room; /* of text: decoded, and not yet handed on */
    struct answer_reader reader;
};

/* One event's data; false ends the reading. */
typedef bool event_fn(void *context, const char *data, size_t length);

/* Asks for what comes after `from`. `timeout_s` 0: the socket does not block once connected. 0, or errno. */
int event_feed_open(struct event_feed *feed, const struct target *target, uint32_t book, uint64_t from, int timeout_s)
    __attribute__((warn_unused_result));

/*
 * Receives once and hands the whole events on. 0: go on; ECANCELED: on_event
 * said so; EAGAIN: nothing came (in time); ECONNRESET: it ended; EPROTO: it is
 * no stream, and reader.status says what was answered; another errno of recv.
 */
int event_feed_read(struct event_feed *feed, event_fn *on_event, void *context) __attribute__((warn_unused_result));

void event_feed_close(struct event_feed *feed);

#endif
