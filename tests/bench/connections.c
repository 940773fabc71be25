/*
 * The loop of one thread. A connection is down, connecting, idle or busy; it is
 * busy from the moment its request is sent (or is on its way out) until the
 * answer is whole. One that breaks goes down and is made anew, and what it was
 * asked has no outcome.
 *
 * Edge-triggered for both directions from the start: no call but send and recv
 * is made for a request.
 */
#include "tests/bench/connections.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/rfc3339.h"
#include "tests/bench/engine.h"
#include "tests/bench/say.h"

#define SECOND_NS UINT64_C(1000000000)
#define LOOK_EVERY_NS (SECOND_NS / 20) /* at the signals, and whether it is over */
#define RETRY_NS (SECOND_NS / 100)
#define UNREACHABLE_NS (5 * SECOND_NS)
#define LATE_NS (2 * SECOND_NS) /* overdue requests are still sent for so long behind the end */
#define DRAIN_NS (40 * SECOND_NS) /* longer than the server's own limit for a request */
#define EVENTS_MAX 256
#define IN_ROOM_BYTES 16384

char *connection_room(struct connection *c, size_t bytes)
{
    if (bytes > c->out_room) {
        c->out = need_more(c->out, bytes);
        c->out_room = bytes;
    }
    return c->out;
}

/* --- what is counted --- */

static bool is_open_loop(const struct worker *w)
{
    return w->engine->phase->rate > 0;
}

static bool is_counted(const struct worker *w, const struct connection *c, uint64_t now_ns)
{
    const struct engine *e = w->engine;
    uint64_t at_ns = is_open_loop(w) ? c->due_ns : now_ns;
    return at_ns >= e->count_from_ns && at_ns < e->end_ns;
}

static void count_answer(struct worker *w, const struct connection *c, uint32_t drafts, uint64_t now_ns)
{
    struct tally *t = &w->tally;
    int status = c->reader.status;
    if (now_ns >= w->engine->count_from_ns && now_ns < w->engine->end_ns) {
        t->in_time++;
        t->drafts += drafts;
        t->drafts_refused += c->drafts > 0 ? c->refused : 0;
    }
    if (!is_counted(w, c, now_ns))
        return;
    t->requests++;
    t->answers[status]++;
    histogram_record(status == 429 || status == 503 ? t->refused : t->latency, (now_ns - c->due_ns) / 1000);
}

/* --- connections --- */

static void set_state(struct worker *w, struct connection *c, enum connection_state state)
{
    w->busy += (state == CONNECTION_BUSY) - (c->state == CONNECTION_BUSY);
    w->down += (state == CONNECTION_DOWN) - (c->state == CONNECTION_DOWN);
    c->state = state;
    if (state == CONNECTION_IDLE)
        w->idle[w->idle_count++] = (uint32_t)(c - w->connections);
}

static void forget_idle(struct worker *w, const struct connection *c)
{
    uint32_t number = (uint32_t)(c - w->connections);
    for (uint32_t i = 0; i < w->idle_count; i++)
        if (w->idle[i] == number)
            w->idle[i--] = w->idle[--w->idle_count];
}

static void note_refusal(struct worker *w)
{
    if (w->refused_since_ns == 0)
        w->refused_since_ns = clock_monotonic_ns();
}

static void open_connection(struct worker *w, struct connection *c)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.u32 = (uint32_t)(c - w->connections)};
    c->fd = target_connect(w->engine->target);
    if (c->fd < 0) {
        note_refusal(w);
        return;
    }
    if (epoll_ctl(w->epoll, EPOLL_CTL_ADD, c->fd, &event) != 0) {
        close(c->fd);
        return;
    }
    set_state(w, c, CONNECTION_CONNECTING);
}

static void take_down(struct worker *w, struct connection *c)
{
    if (c->state == CONNECTION_IDLE)
        forget_idle(w, c);
    close(c->fd);
    set_state(w, c, CONNECTION_DOWN);
}

/* It broke. What was sent on it may or may not come true. */
static void lose(struct worker *w, struct connection *c)
{
    if (c->state == CONNECTION_BUSY && is_counted(w, c, clock_monotonic_ns()))
        w->tally.lost++;
    if (c->state == CONNECTION_CONNECTING)
        note_refusal(w);
    take_down(w, c);
}

static void open_all_down(struct worker *w, uint64_t now_ns)
{
    if (w->down == 0 || now_ns < w->retry_ns)
        return;
    for (uint32_t i = 0; i < w->connection_count; i++)
        if (w->connections[i].state == CONNECTION_DOWN)
            open_connection(w, &w->connections[i]);
    w->retry_ns = now_ns + RETRY_NS;
}

/* --- sending --- */

/* May requests be sent at all, now or later? */
static bool is_sending_time(const struct worker *w, uint64_t now_ns)
{
    const struct engine *e = w->engine;
    if (interrupted || w->is_exhausted || w->refused_since_ns == UINT64_MAX)
        return false;
    if (!is_open_loop(w))
        return now_ns < e->end_ns;
    return schedule_next_ns(&w->schedule) < e->end_ns && now_ns < e->end_ns + LATE_NS;
}

static void send_more(struct worker *w, struct connection *c)
{
    while (c->out_sent < c->out_length) {
        ssize_t n = send(c->fd, c->out + c->out_sent, c->out_length - c->out_sent, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno != EAGAIN)
                lose(w, c);
            return;
        }
        c->out_sent += (size_t)n;
    }
}

/* Gives the last idle connection a request. */
static void send_next(struct worker *w, struct connection *c, uint64_t due_ns)
{
    if (!w->engine->phase->source->next(w, c)) {
        w->is_exhausted = true;
        return;
    }
    assert(c->out_length <= c->out_room && &w->connections[w->idle[w->idle_count - 1]] == c);
    w->idle_count--;
    c->due_ns = due_ns;
    c->refused = 0;
    c->out_sent = c->in_length = 0;
    c->reader = (struct answer_reader){0};
    set_state(w, c, CONNECTION_BUSY);
    send_more(w, c);
}

static void send_what_is_due(struct worker *w)
{
    while (w->idle_count > 0) {
        uint64_t now_ns = clock_monotonic_ns(), due_ns = now_ns;
        struct connection *c = &w->connections[w->idle[w->idle_count - 1]];
        if (!is_sending_time(w, now_ns))
            return;
        if (is_open_loop(w) && !schedule_take(&w->schedule, now_ns, &due_ns))
            return;
        send_next(w, c, due_ns);
    }
}

/* --- receiving --- */

static void take_answer(struct worker *w, struct connection *c)
{
    uint64_t now_ns = clock_monotonic_ns();
    struct answer_reader *r = &c->reader;
    uint32_t drafts = w->engine->phase->source->answered(w, c, c->in + r->head_length, r->body_length);
    count_answer(w, c, drafts, now_ns);
    set_state(w, c, CONNECTION_IDLE);
    if (r->closes)
        take_down(w, c);
}

static void make_room(struct connection *c)
{
    if (c->in_length < c->in_room)
        return;
    c->in_room = c->in_room ? c->in_room * 2 : IN_ROOM_BYTES;
    c->in = need_more(c->in, c->in_room);
}

/* Reads until there is no more; a short read says so without another call. */
static void receive(struct worker *w, struct connection *c)
{
    for (;;) {
        make_room(c);
        size_t room = c->in_room - c->in_length;
        ssize_t n = recv(c->fd, c->in + c->in_length, room, 0);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0 || c->state != CONNECTION_BUSY) {
            lose(w, c);
            return;
        }
        c->in_length += (size_t)n;
        enum answer_state state = answer_read(&c->reader, c->in, &c->in_length);
        if (state == ANSWER_BROKEN) {
            engine_fault(w->engine, "an answer is no HTTP: '%.40s'", c->in);
            lose(w, c);
            return;
        }
        if (state == ANSWER_COMPLETE)
            take_answer(w, c);
        if (state == ANSWER_COMPLETE || (size_t)n < room)
            return;
    }
}

static void finish_connecting(struct worker *w, struct connection *c)
{
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error) {
        lose(w, c);
        return;
    }
    w->refused_since_ns = 0;
    set_state(w, c, CONNECTION_IDLE);
}

static void take_event(struct worker *w, struct connection *c, uint32_t events)
{
    if (c->state == CONNECTION_CONNECTING && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
        finish_connecting(w, c);
    else if (c->state == CONNECTION_BUSY && (events & EPOLLOUT))
        send_more(w, c);
    if (c->state == CONNECTION_DOWN || c->state == CONNECTION_CONNECTING)
        return;
    if (events & (EPOLLIN | EPOLLERR | EPOLLHUP | EPOLLRDHUP))
        receive(w, c);
    if (c->state == CONNECTION_IDLE && (events & (EPOLLRDHUP | EPOLLHUP)))
        take_down(w, c);
}

/* --- the loop --- */

static struct timespec patience(const struct worker *w, uint64_t now_ns)
{
    uint64_t until_ns = now_ns + LOOK_EVERY_NS;
    if (w->down > 0 && w->retry_ns < until_ns)
        until_ns = w->retry_ns;
    if (w->engine->end_ns > now_ns && w->engine->end_ns < until_ns)
        until_ns = w->engine->end_ns;
    if (is_open_loop(w) && w->idle_count > 0 && schedule_next_ns(&w->schedule) < until_ns)
        until_ns = schedule_next_ns(&w->schedule);
    uint64_t left = until_ns > now_ns ? until_ns - now_ns : 0;
    return (struct timespec){.tv_nsec = (long)left};
}

static bool is_over(struct worker *w, uint64_t now_ns)
{
    uint64_t since_ns = w->refused_since_ns;
    if (since_ns != 0 && since_ns != UINT64_MAX && now_ns > since_ns + UNREACHABLE_NS)
        w->refused_since_ns = UINT64_MAX;
    if (interrupted || w->refused_since_ns == UINT64_MAX)
        return true;
    if (is_sending_time(w, now_ns))
        return false;
    return w->busy == 0 || (now_ns > w->engine->end_ns && now_ns - w->engine->end_ns > DRAIN_NS);
}

static void turn(struct worker *w)
{
    struct epoll_event events[EVENTS_MAX];
    uint64_t now_ns = clock_monotonic_ns();
    if (is_sending_time(w, now_ns))
        open_all_down(w, now_ns);
    struct timespec limit = patience(w, now_ns);
    int n = epoll_pwait2(w->epoll, events, EVENTS_MAX, &limit, NULL);
    for (int i = 0; i < n; i++) {
        take_event(w, &w->connections[events[i].data.u32], events[i].events);
        send_what_is_due(w);
    }
    if (n <= 0)
        send_what_is_due(w);
}

static void close_all(struct worker *w)
{
    if (is_open_loop(w))
        w->tally.unsent += schedule_overdue(&w->schedule, w->engine->end_ns);
    for (uint32_t i = 0; i < w->connection_count; i++) {
        struct connection *c = &w->connections[i];
        if (c->state != CONNECTION_DOWN)
            lose(w, c);
        free(c->in);
        free(c->out);
    }
    free(w->connections);
    free(w->idle);
    close(w->epoll);
}

void *connections_run(void *context)
{
    struct worker *w = context;
    prctl(PR_SET_TIMERSLACK, 1000); /* ns; a schedule is kept better than to the usual 50 us */
    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    w->connections = need(w->connection_count + 1, sizeof *w->connections);
    w->idle = need(w->connection_count + 1, sizeof *w->idle);
    w->down = w->connection_count;
    while (w->connection_count > 0 && !is_over(w, clock_monotonic_ns()))
        turn(w);
    close_all(w);
    return NULL;
}
