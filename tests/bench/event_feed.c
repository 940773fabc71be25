#include "tests/bench/event_feed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/requests.h"
#include "tests/bench/say.h"

#define ROOM_LEAST_BYTES (128u << 10)
#define CONNECT_S 30
#define DATA "data: "

int event_feed_open(struct event_feed *feed, const struct target *target, uint32_t book, uint64_t from, int timeout_s)
{
    char *request = need(1, GET_ROOM_BYTES);
    *feed = (struct event_feed){.fd = target_connect_blocking(target, timeout_s ? timeout_s : CONNECT_S)};
    size_t length = get_write(target, request, "/v1/books/bench-%05u/events?from=%llu", book, (unsigned long long)from);
    ssize_t sent = feed->fd < 0 ? -1 : send(feed->fd, request, length, MSG_NOSIGNAL);
    int error = sent == (ssize_t)length ? 0 : errno;
    free(request);
    if (!error && timeout_s == 0 && fcntl(feed->fd, F_SETFL, O_NONBLOCK) != 0)
        error = errno;
    if (error)
        event_feed_close(feed);
    return error;
}

void event_feed_close(struct event_feed *feed)
{
    if (feed->fd >= 0)
        close(feed->fd);
    free(feed->base);
    *feed = (struct event_feed){.fd = -1};
}

/* Hands on what is whole, up to its empty line, and moves the rest to the front. False: on_event said so. */
static bool hand_on(struct event_feed *feed, event_fn *on_event, void *context)
{
    const char *rest = feed->base, *line = rest, *end = rest + feed->text_length, *newline, *data = NULL;
    size_t length = 0;
    bool go_on = true;
    while (go_on && (newline = memchr(line, '\n', (size_t)(end - line))) != NULL) {
        if (newline == line) {
            if (data)
                go_on = on_event(context, data, length);
            data = NULL;
            rest = newline + 1;
        } else if ((size_t)(newline - line) > strlen(DATA) && memcmp(line, DATA, strlen(DATA)) == 0) {
            data = line + strlen(DATA);
            length = (size_t)(newline - data);
        }
        line = newline + 1;
    }
    feed->text_length = (size_t)(end - rest);
    memmove(feed->base, rest, feed->text_length);
    feed->length = feed->text_length;
    return go_on;
}

static int take_head(struct event_feed *feed)
{
    enum answer_state state = answer_read_head(&feed->reader, feed->base, feed->length);
    if (state == ANSWER_GOES_ON)
        return 0;
    if (state == ANSWER_BROKEN || feed->reader.status != 200 || !feed->reader.is_chunked)
        return EPROTO;
    feed->length -= feed->reader.head_length;
    memmove(feed->base, feed->base + feed->reader.head_length, feed->length);
    return 0;
}

int event_feed_read(struct event_feed *feed, event_fn *on_event, void *context)
{
    if (feed->room - feed->length < ROOM_LEAST_BYTES) {
        feed->room += 2 * ROOM_LEAST_BYTES;
        feed->base = need_more(feed->base, feed->room);
    }
    ssize_t n = recv(feed->fd, feed->base + feed->length, feed->room - feed->length, 0);
    if (n <= 0)
        return n == 0 ? ECONNRESET : errno;
    feed->length += (size_t)n;
    if (!feed->reader.has_head) {
        int error = take_head(feed);
        if (error || !feed->reader.has_head)
            return error;
    }
    size_t fresh = feed->length - feed->text_length;
    ssize_t state = answer_decode_chunks(&feed->reader.decoder, feed->base + feed->text_length, &fresh);
    feed->text_length += fresh;
    feed->length = feed->text_length;
    if (state == -1)
        return EPROTO;
    if (!hand_on(feed, on_event, context))
        return ECANCELED;
    return state == -2 ? 0 : ECONNRESET;
}
