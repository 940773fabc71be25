#include "tests/bench/subscribers.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <xxhash.h>

#include "common/rfc3339.h"
#include "tests/bench/event_facts.h"
#include "tests/bench/event_feed.h"
#include "tests/bench/say.h"

#define SECOND_NS UINT64_C(1000000000)
#define PATIENCE_NS (30 * SECOND_NS)
#define LOOK_EVERY_MS 50
#define EVENTS_MAX 64
#define SEEN_EVENTS (1u << 16) /* a power of two */

/* An event that one stream brought, for the others: theirs are compared with it, not parsed once more. */
struct seen_event {
    uint64_t seq, hash;
    int64_t at_us;
};

struct subscriber {
    struct subscribers *all;
    struct event_feed feed;
    uint64_t last_seq;
};

struct subscribers {
    struct engine *engine;
    struct subscriber *streams;
    uint32_t count, book;
    int epoll, error;
    pthread_t thread;
    bool has_thread;
    _Atomic uint64_t goal_seq; /* UINT64_MAX: not known yet */
    _Atomic uint32_t answered; /* streams with a head */
    struct seen_event *seen;   /* by seq, the newest that falls on a place */
    int64_t received_us;       /* what is being handed on; 0: not asked yet */
    struct histogram *delays;
    char fault[300];
};

/* --- events --- */

static void record_delay(struct subscribers *all, int64_t at_us)
{
    if (!atomic_load_explicit(&all->engine->is_measuring, memory_order_relaxed))
        return;
    if (all->received_us == 0)
        all->received_us = clock_now_us();
    int64_t delay_us = all->received_us - at_us;
    histogram_record(all->delays, delay_us > 0 ? (uint64_t)delay_us : 0);
}

/* Is it the event with that seq, and well formed? `out` is changed only then. */
static bool read_event(const char *data, size_t length, uint64_t seq, struct seen_event *out)
{
    struct event_facts event;
    struct timestamp at;
    if (!event_facts_read(data, length, &event) || event.seq != seq ||
        rfc3339_parse(bytes_of(event.at.base, event.at.length), &at) != 0)
        return false;
    *out = (struct seen_event){seq, XXH3_64bits(data, length), timestamp_floor_us(at)};
    return true;
}

static bool take_event(void *context, const char *data, size_t length)
{
    struct subscriber *s = context;
    struct subscribers *all = s->all;
    uint64_t seq = s->last_seq + 1;
    struct seen_event *seen = &all->seen[seq % SEEN_EVENTS];
    bool good = seen->seq == seq ? seen->hash == XXH3_64bits(data, length) : read_event(data, length, seq, seen);
    if (!good) {
        snprintf(all->fault, sizeof all->fault, "a stream brought, behind seq %" PRIu64 ": %.80s", s->last_seq, data);
        return false;
    }
    s->last_seq = seq;
    record_delay(all, seen->at_us);
    return true;
}

/* --- streams --- */

static int open_stream(struct subscriber *s)
{
    struct subscribers *all = s->all;
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)(s - all->streams)};
    int error = event_feed_open(&s->feed, all->engine->target, all->book, s->last_seq, 0);
    if (!error && epoll_ctl(all->epoll, EPOLL_CTL_ADD, s->feed.fd, &event) != 0)
        error = errno;
    return error;
}

/* False: it is over, with all->fault. A stream that ends is to be resumed. */
static bool read_stream(struct subscriber *s)
{
    struct subscribers *all = s->all;
    bool had_head = s->feed.reader.has_head;
    all->received_us = 0;
    int error = event_feed_read(&s->feed, take_event, s);
    if (!had_head && s->feed.reader.has_head && error != EPROTO)
        atomic_fetch_add(&all->answered, 1);
    if (error == ECONNRESET) {
        event_feed_close(&s->feed);
        error = open_stream(s);
        atomic_fetch_sub(&all->answered, 1);
    }
    if (error == 0 || error == EAGAIN)
        return true;
    if (error != ECANCELED)
        snprintf(all->fault, sizeof all->fault, "a stream of events broke: %s (HTTP %d)", strerror(error),
                 s->feed.reader.status);
    return false;
}

static bool all_have_arrived(struct subscribers *all)
{
    uint64_t goal_seq = atomic_load(&all->goal_seq);
    for (uint32_t i = 0; i < all->count; i++)
        if (all->streams[i].last_seq < goal_seq)
            return false;
    return true;
}

static void tell_who_lacks(struct subscribers *all)
{
    uint64_t goal_seq = atomic_load(&all->goal_seq);
    for (uint32_t i = 0; i < all->count; i++)
        if (all->streams[i].last_seq < goal_seq)
            snprintf(all->fault, sizeof all->fault,
                     "a stream stays at seq %" PRIu64 ", and %" PRIu64 " was acknowledged", all->streams[i].last_seq,
                     goal_seq);
}

/* Once the goal is known, it must be reached before nothing has come for too long. */
static void *follow(void *context)
{
    struct subscribers *all = context;
    struct epoll_event events[EVENTS_MAX];
    uint64_t last_ns = clock_monotonic_ns();
    while (!interrupted && !all_have_arrived(all)) {
        int n = epoll_wait(all->epoll, events, EVENTS_MAX, LOOK_EVERY_MS);
        uint64_t now_ns = clock_monotonic_ns();
        if (n > 0 || atomic_load(&all->goal_seq) == UINT64_MAX)
            last_ns = now_ns;
        for (int i = 0; i < n; i++)
            if (!read_stream(&all->streams[events[i].data.u32]))
                return NULL;
        if (now_ns - last_ns > PATIENCE_NS) {
            tell_who_lacks(all);
            return NULL;
        }
    }
    return NULL;
}

/* --- begin and end --- */

static void destroy(struct subscribers **subscribers)
{
    struct subscribers *all = *subscribers;
    for (uint32_t i = 0; i < all->count; i++)
        event_feed_close(&all->streams[i].feed);
    close(all->epoll);
    free(all->streams);
    free(all->seen);
    histogram_destroy(&all->delays);
    free(all);
    *subscribers = NULL;
}

static int wait_for_heads(struct subscribers *all)
{
    uint64_t until_ns = clock_monotonic_ns() + PATIENCE_NS;
    while (atomic_load(&all->answered) < all->count) {
        if (interrupted)
            return EINTR;
        if (clock_monotonic_ns() > until_ns) {
            say("%u of %u event streams were answered within 30 s", atomic_load(&all->answered), all->count);
            return ETIMEDOUT;
        }
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return 0;
}

int subscribers_start(struct subscribers **out, struct engine *engine, uint32_t book, uint64_t from_seq, uint32_t count)
{
    struct subscribers *all = *out = need(1, sizeof *all);
    int error = 0;
    *all = (struct subscribers){.engine = engine, .book = book, .count = count, .goal_seq = UINT64_MAX};
    all->streams = need(count, sizeof *all->streams);
    all->seen = need(SEEN_EVENTS, sizeof *all->seen);
    all->delays = histogram_create();
    all->epoll = epoll_create1(EPOLL_CLOEXEC);
    for (uint32_t i = 0; i < count; i++)
        all->streams[i] = (struct subscriber){.all = all, .feed = {.fd = -1}, .last_seq = from_seq};
    for (uint32_t i = 0; i < count && !error; i++)
        error = open_stream(&all->streams[i]);
    if (error)
        say("cannot open an event stream: %s", strerror(error));
    else if (pthread_create(&all->thread, NULL, follow, all) != 0)
        error = EAGAIN;
    else
        all->has_thread = true;
    return error ? error : wait_for_heads(all);
}

int subscribers_finish(struct subscribers **subscribers, uint64_t last_seq, struct histogram *delays)
{
    struct subscribers *all = *subscribers;
    int error = 0;
    if (!all)
        return 0;
    atomic_store(&all->goal_seq, last_seq);
    if (all->has_thread)
        pthread_join(all->thread, NULL);
    if (all->fault[0]) {
        say("wrong: %s", all->fault);
        error = EBADMSG;
    }
    histogram_merge(delays, all->delays);
    destroy(subscribers);
    return error;
}
