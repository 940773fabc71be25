#include "server/event_stream.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>
#include <utlist.h>

#include "common/decimal.h"
#include "common/event.h"
#include "common/exit_status.h"
#include "common/report.h"
#include "common/rfc3339.h"
#include "server/answers.h"
#include "server/cors.h"
#include "server/event_json.h"
#include "server/event_texts.h"
#include "server/query.h"
#include "server/request_log.h"
#include "server/worker.h"

#define OLDER_BYTES 65536 /* a piece that one stream reads for itself ends with the event that passes it */
#define OLDER_EVENTS 256
#define KEPT_BYTES_A_STREAM 32768 /* of a book's newest events, for each of its streams */
#define KEPT_BYTES_MAX (1u << 20)
#define CAUGHT_UP_EVENTS_MAX 4096 /* in one go, of a book whose streams rested */
#define FEED_REST_FACTOR 4 /* of the time that feeding took: a fifth of the worker at most is the streams' */
#define FEED_REST_MAX_NS 4000000u
#define KEEPALIVE_NS (10 * 1000000000ull)
#define STALL_MAX_NS (5 * 1000000000ull) /* what a peer may take over a piece while the worker waits to leave */
#define COMMENT ":\n\n"
#define GOODBYE ":the server closes this connection, reconnect\nretry: 100\n\n" /* milliseconds, of EventSource */

/*
 * The states of a stream: writing (a piece is on its way), ready (may be sent
 * more), parting (its last piece is on its way), ended (its closed callback
 * comes; nothing is sent any more).
 */
enum stream_state { STREAM_WRITING, STREAM_READY, STREAM_PARTING, STREAM_ENDED };

/* A book that has streams here. */
struct fed_book {
    uint32_t streams;
    bool begun;
    struct event_texts texts;
    uint64_t position; /* of the log: up to there nothing is lacking in texts */
    UT_hash_handle hh;
    size_t name_len;
    char name[];
};

struct event_stream {
    struct event_streams *owner;
    struct fed_book *fed;
    struct exchange *exchange;
    struct http_stream *http;
    uint64_t cursor; /* last seq sent */
    uint64_t sent_bytes;
    uint64_t last_sent_ns; /* 0: nothing yet */
    uint64_t level_position; /* of the log, when the stream last lacked nothing; 0: never yet */
    struct event_sheet *sheet; /* that the piece on its way is from, or NULL */
    struct buffer older;       /* else it is this: read for this stream alone */
    enum stream_state state;
    struct event_stream *prev, *next;
};

struct event_streams {
    struct worker *worker;
    struct event_stream *streams;
    struct fed_book *books;
    uint64_t fed_position; /* durable_position that all ready streams have seen */
    uint64_t feed_after_ns; /* not before */
    struct json_text *json;
    struct buffer text; /* of a book's next event */
    struct arena *arena; /* of the event being written */
};

struct event_streams *event_streams_create(struct worker *worker)
{
    struct event_streams *s = calloc(1, sizeof *s);
    if (!s)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    s->worker = worker;
    s->json = json_text_create(&s->text);
    s->arena = arena_create();
    return s;
}

/* --- books --- */

static struct fed_book *enter_book(struct event_streams *s, struct bytes name)
{
    struct fed_book *fed;
    HASH_FIND(hh, s->books, name.base, name.len, fed);
    if (!fed) {
        fed = calloc(1, sizeof *fed + name.len);
        if (!fed)
            report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
        fed->name_len = name.len;
        memcpy(fed->name, name.base, name.len);
        HASH_ADD_KEYPTR(hh, s->books, fed->name, name.len, fed);
    }
    fed->streams++;
    return fed;
}

static void leave_book(struct event_streams *s, struct fed_book *fed)
{
    if (--fed->streams > 0)
        return;
    HASH_DELETE(hh, s->books, fed);
    event_texts_free(&fed->texts);
    free(fed);
}

static struct bytes book_name(const struct fed_book *fed)
{
    return bytes_of(fed->name, fed->name_len);
}

static size_t kept_bytes(const struct fed_book *fed)
{
    size_t bytes = (size_t)fed->streams * KEPT_BYTES_A_STREAM;
    return bytes < KEPT_BYTES_MAX ? bytes : KEPT_BYTES_MAX;
}

/* Reads an event and appends its text. */
static int write_event(struct event_streams *s, uint32_t book_no, uint64_t seq, struct buffer *out)
{
    char id[U128_TEXT_MAX];
    struct event event;
    size_t before = out->len;
    int error = worker_read_event(s->worker, book_no, seq, &event);
    if (error)
        return error;
    int length = u128_format(event.seq, id);
    buffer_append_string(out, "id: ");
    buffer_append(out, id, (size_t)length);
    buffer_append_string(out, "\ndata: ");
    json_text_restart(s->json, out);
    error = event_json(s->json, &event, s->arena);
    buffer_append_string(out, "\n\n");
    if (error)
        out->len = before;
    return error;
}

/* Begins where the stream that is furthest is; streams that lack older events read them by themselves. */
static void begin_texts(struct event_streams *s, struct fed_book *fed)
{
    struct event_stream *stream;
    uint64_t furthest = 0;
    DL_FOREACH(s->streams, stream)
    {
        if (stream->fed == fed && stream->cursor > furthest)
            furthest = stream->cursor;
    }
    event_texts_begin(&fed->texts, furthest + 1);
    fed->begun = true;
}

/* Brings a book's texts up to date. What cannot be read is met again by the streams, which say so. */
static void catch_up(struct event_streams *s, struct fed_book *fed)
{
    uint64_t position = atomic_load(&s->worker->border->durable_position);
    struct book_row book = {.last_seq = 0};
    int error = index_find_book(s->worker->index, book_name(fed), &book);
    if (!fed->begun)
        begin_texts(s, fed);
    if (book.last_seq >= fed->texts.next + CAUGHT_UP_EVENTS_MAX)
        event_texts_begin(&fed->texts, book.last_seq + 1 - CAUGHT_UP_EVENTS_MAX);
    while (error == 0 && fed->texts.next <= book.last_seq) {
        buffer_clear(&s->text);
        error = write_event(s, book.book_no, fed->texts.next, &s->text);
        if (error == 0)
            event_texts_take(&fed->texts, buffer_bytes(&s->text), kept_bytes(fed));
    }
    fed->begun = error == 0 || error == ENOENT;
    if (fed->begun)
        fed->position = position;
}

static void catch_all_up(struct event_streams *s)
{
    struct fed_book *fed, *next;
    if (!s->books || worker_begin_reading(s->worker) != 0)
        return;
    HASH_ITER(hh, s->books, fed, next)
    {
        catch_up(s, fed);
    }
    index_reader_end(s->worker->index);
}

/* --- feeding --- */

/* Reads what comes behind the cursor, and moves the cursor over it. */
static int collect(struct event_stream *stream)
{
    struct event_streams *s = stream->owner;
    uint64_t position = atomic_load(&s->worker->border->durable_position);
    struct book_row book;
    int error = index_find_book(s->worker->index, book_name(stream->fed), &book);
    if (error)
        return error == ENOENT ? 0 : error;
    for (int i = 0; i < OLDER_EVENTS && stream->cursor < book.last_seq && stream->older.len < OLDER_BYTES; i++) {
        error = write_event(s, book.book_no, stream->cursor + 1, &stream->older);
        if (error)
            return error;
        stream->cursor++;
        counter_add(&s->worker->slot->counters.events_sent, 1);
    }
    if (stream->cursor >= book.last_seq)
        stream->level_position = position;
    return 0;
}

static void end_stream(struct event_stream *stream)
{
    if (stream->state == STREAM_ENDED)
        return;
    stream->state = STREAM_ENDED;
    http_stream_end(stream->http);
}

static void release_piece(struct event_stream *stream)
{
    event_sheet_release(&stream->sheet);
    buffer_clear(&stream->older);
}

/* It is held until it is written, or the stream is closed. */
static void send_piece(struct event_stream *stream, struct bytes piece)
{
    assert(stream->state == STREAM_READY);
    stream->state = STREAM_WRITING;
    stream->last_sent_ns = clock_monotonic_ns();
    stream->sent_bytes += piece.len;
    http_stream_send(stream->http, piece);
}

/* The worker leaves: its reader is to come again, to another. */
static void part(struct event_stream *stream)
{
    send_piece(stream, BYTES_LITERAL(GOODBYE));
    stream->state = STREAM_PARTING;
}

/* What it lacks is among the newest events of its book, or nothing is lacking. */
static void feed_newest(struct event_stream *stream)
{
    struct fed_book *fed = stream->fed;
    uint64_t before = stream->cursor;
    struct bytes piece;
    buffer_free(&stream->older);
    stream->sheet = event_texts_hold(&fed->texts, &stream->cursor, &piece);
    if (stream->cursor + 1 >= fed->texts.next)
        stream->level_position = fed->position;
    counter_add(&stream->owner->worker->slot->counters.events_sent, stream->cursor - before);
    if (stream->sheet)
        send_piece(stream, piece);
}

/* From the log. What cannot be read ends the stream: its client comes again with Last-Event-ID. */
static void feed_older(struct event_stream *stream)
{
    struct event_streams *s = stream->owner;
    struct worker *w = s->worker;
    int error = worker_begin_reading(w);
    if (error == 0) {
        error = collect(stream);
        index_reader_end(w->index);
    }
    if (error) {
        request_log_error(stream->exchange, "an event stream ends: cannot read event %" PRIu64 ": %s",
                          stream->cursor + 1, strerror(error));
        end_stream(stream);
    } else if (stream->older.len > 0) {
        send_piece(stream, buffer_bytes(&stream->older));
    }
}

/* Sends a ready stream what it lacks. */
static void feed(struct event_stream *stream)
{
    if (stream->fed->begun && event_texts_reach(&stream->fed->texts, stream->cursor))
        feed_newest(stream);
    else
        feed_older(stream);
}

static void on_ready(void *context)
{
    struct event_stream *stream = context;
    release_piece(stream);
    if (stream->state == STREAM_PARTING)
        end_stream(stream);
    if (stream->state != STREAM_WRITING)
        return;
    stream->state = STREAM_READY;
    if (stream->owner->worker->draining) {
        part(stream);
        return;
    }
    feed(stream);
    /* The response's head leaves with the first piece only: a reader whom nothing awaits must see it all the same. */
    if (stream->state == STREAM_READY && stream->last_sent_ns == 0)
        send_piece(stream, BYTES_LITERAL(COMMENT));
}

bool event_streams_feed(struct event_streams *s)
{
    uint64_t position = atomic_load(&s->worker->border->durable_position);
    struct event_stream *stream, *next;
    if (position == s->fed_position)
        return false;
    uint64_t now = clock_monotonic_ns();
    if (s->streams && now < s->feed_after_ns)
        return false;
    s->fed_position = position;
    catch_all_up(s);
    DL_FOREACH_SAFE(s->streams, stream, next)
    {
        if (stream->state == STREAM_READY)
            feed(stream);
    }
    if (!s->streams)
        return false;
    uint64_t end = clock_monotonic_ns(), rest = FEED_REST_FACTOR * (end - now);
    s->feed_after_ns = end + (rest < FEED_REST_MAX_NS ? rest : FEED_REST_MAX_NS);
    return true;
}

int32_t event_streams_rest_ms(const struct event_streams *s, int32_t most)
{
    if (!s->streams || atomic_load(&s->worker->border->durable_position) == s->fed_position)
        return most;
    uint64_t now = clock_monotonic_ns();
    int32_t rest = now < s->feed_after_ns ? (int32_t)((s->feed_after_ns - now) / 1000000) + 1 : 0;
    return rest < most ? rest : most;
}

/*
 * Has its reader fallen too far behind? Whoever reads old events, and never was
 * level, may take the time: they lie on disk, and only a piece in memory.
 */
static bool is_too_far_behind(const struct event_stream *stream)
{
    const struct worker *w = stream->owner->worker;
    uint64_t most = w->settings->events_behind_max_bytes;
    return most && stream->level_position &&
           atomic_load(&w->border->durable_position) - stream->level_position > most;
}

static void look_at(struct event_stream *stream, uint64_t now)
{
    struct worker *w = stream->owner->worker;
    if (stream->state == STREAM_READY) {
        if (now - stream->last_sent_ns >= KEEPALIVE_NS || http_stream_is_half_closed(stream->http))
            send_piece(stream, BYTES_LITERAL(COMMENT));
    } else if (stream->state != STREAM_ENDED && w->draining && now - stream->last_sent_ns >= STALL_MAX_NS) {
        http_stream_abort(stream->http);
    } else if (stream->state == STREAM_WRITING && is_too_far_behind(stream)) {
        worker_met_limit(w, HTTP_LIMIT_EVENTS_BEHIND);
        stream->state = STREAM_PARTING; /* ends when its reader has taken this piece */
    }
}

void event_streams_tick(struct event_streams *s)
{
    uint64_t now = clock_monotonic_ns();
    struct event_stream *stream, *next;
    DL_FOREACH_SAFE(s->streams, stream, next)
    {
        look_at(stream, now);
    }
}

bool event_streams_end(struct event_streams *s)
{
    struct event_stream *stream, *next;
    bool any = false;
    DL_FOREACH_SAFE(s->streams, stream, next)
    {
        if (stream->state != STREAM_READY)
            continue;
        part(stream);
        any = true;
    }
    return any;
}

/* --- opening --- */

static void on_closed(void *context)
{
    struct event_stream *stream = context;
    struct event_streams *s = stream->owner;
    DL_DELETE(s->streams, stream);
    release_piece(stream);
    buffer_free(&stream->older);
    leave_book(s, stream->fed);
    atomic_fetch_sub(&s->worker->slot->event_streams, 1);
    exchange_leave_flight(stream->exchange);
    request_log_stream_ended(stream->exchange, stream->sent_bytes);
}

/* Where to begin: behind Last-Event-ID, else behind `from`, else at the beginning. False: answered. */
static bool read_cursor(struct exchange *e, uint64_t *cursor)
{
    const char *reason;
    int error = query_sequence(e->match.query, "from", http_arena(e->http), cursor, &reason);
    struct bytes last = http_header(e->http, "last-event-id");
    if (error == 0 && last.base) {
        reason = "Last-Event-ID is not a whole number";
        error = parse_sequence(last, cursor);
    }
    if (error)
        exchange_answer(e, answer_invalid(exchange_json(e), "query", reason));
    return error == 0;
}

void handle_get_events(struct exchange *e)
{
    struct http_header headers[2 + CORS_HEADERS_MAX] = {
        {"cache-control", BYTES_LITERAL("no-cache")},
        {"x-accel-buffering", BYTES_LITERAL("no")},
    };
    struct event_streams *s = e->worker->event_streams;
    uint64_t cursor;
    if (!read_cursor(e, &cursor) || !exchange_check_names(e))
        return;
    if (atomic_load(&e->worker->slot->event_streams) >= e->worker->settings->max_event_streams) {
        worker_met_limit(e->worker, HTTP_LIMIT_EVENT_STREAMS);
        exchange_answer(e, answer_overloaded(exchange_json(e), 503));
        return;
    }
    struct event_stream *stream = arena_alloc(http_arena(e->http), sizeof *stream);
    *stream = (struct event_stream){
        .owner = s,
        .exchange = e,
        .fed = enter_book(s, e->match.book),
        .cursor = cursor,
        .state = e->method == METHOD_HEAD ? STREAM_ENDED : STREAM_WRITING,
    };
    DL_APPEND(s->streams, stream);
    /* Counted before the index is read: from here on the arbiter rings after each commit. */
    atomic_fetch_add(&e->worker->slot->event_streams, 1);
    http_on_closed(e->http, on_closed, stream);
    exchange_count(e, 200);
    exchange_leave_flight(e);
    size_t header_count = 2 + cors_add_headers(e, headers + 2);
    stream->http = http_stream_begin(e->http, "text/event-stream", headers, header_count, on_ready, stream);
}
