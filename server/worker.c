#include "server/worker.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <bsd/unistd.h>

#include "common/exit_status.h"
#include "common/process.h"
#include "common/report.h"
#include "common/rfc3339.h"
#include "server/address_limit.h"
#include "server/answers.h"
#include "server/authenticate.h"
#include "server/confinement.h"
#include "server/cors.h"
#include "server/document_routes.h"
#include "server/event_stream.h"
#include "server/metrics.h"
#include "server/request_log.h"
#include "server/submissions.h"

#define SLEEP_MAX_MS 10000
#define BUFFER_KEPT_BYTES (1u << 20)
#define REST_MAX_NS (5 * 1000000000ull) /* for connections between two requests, when their worker leaves */

static volatile sig_atomic_t told_to_leave;
static struct bell *own_bell;

/* --- reading --- */

int worker_begin_reading(struct worker *w)
{
    int error = index_reader_begin(w->index, atomic_load(&w->border->index_generation));
    if (error == EACCES && w->fenced && !told_to_leave) {
        /* Somebody has put another folder in the index's place: a new worker's fence has a gate there. */
        report(REPORT_WARNING, "the folder of the index is another one: this worker leaves for a new one");
        told_to_leave = 1;
        bell_ring_anyway(own_bell);
    }
    return error;
}

int worker_read_event(struct worker *w, uint32_t book_no, uint64_t seq, struct event *event)
{
    struct event_place place;
    int64_t at_us;
    size_t length;
    buffer_clear(&w->scratch);
    int error = index_event(w->index, book_no, seq, &at_us, &place);
    if (error == 0)
        error = log_reader_event(w->log, &place, &w->scratch);
    if (error == 0)
        error = event_unpack(buffer_bytes(&w->scratch), event, &length);
    return error;
}

/* --- answers --- */

struct json_text *exchange_json(struct exchange *e)
{
    struct worker *w = e->worker;
    buffer_clear(&w->answer);
    json_text_restart(w->json, &w->answer);
    return w->json;
}

static uint64_t count(struct exchange *e, int status)
{
    uint64_t duration_ns = clock_monotonic_ns() - http_begun_ns(e->http);
    metrics_count_request(&e->worker->slot->counters, e->match.id, e->method, status, duration_ns);
    return duration_ns;
}

void exchange_count(struct exchange *e, int status)
{
    (void)count(e, status);
}

/* Counts and logs the request, and answers. */
static void respond(struct exchange *e, int status, const char *content_type, const struct http_header *headers,
                    size_t header_count, struct bytes body)
{
    uint64_t duration_ns = count(e, status);
    request_log_answered(e, status, duration_ns, e->method == METHOD_HEAD ? 0 : body.len);
    struct http_header all[CORS_HEADERS_MAX + ANSWER_HEADERS_MAX];
    assert(header_count <= ANSWER_HEADERS_MAX);
    size_t count_all = cors_add_headers(e, all);
    for (size_t i = 0; i < header_count; i++)
        all[count_all++] = headers[i];
    http_respond(e->http, status, content_type, all, count_all, body);
}

static struct bytes decimal_in_arena(struct arena *arena, unsigned number)
{
    char text[12];
    size_t digits = (size_t)snprintf(text, sizeof text, "%u", number);
    return bytes_of(arena_copy(arena, text, digits), digits);
}

void exchange_answer(struct exchange *e, int status)
{
    struct http_header retry_after = {"retry-after", BYTES_LITERAL("1")};
    if (e->retry_after_s)
        retry_after.value = decimal_in_arena(http_arena(e->http), e->retry_after_s);
    static const struct http_header authenticate = {"www-authenticate", BYTES_LITERAL("Bearer")};
    struct http_header allow = {"allow", bytes_of_string(routes[e->match.id].allow)};
    const struct http_header *header = status == 429 || status == 503 ? &retry_after
                                       : status == 401                ? &authenticate
                                       : status == 405                ? &allow
                                                                      : NULL;
    respond(e, status, status == 204 ? NULL : "application/json", header, header ? 1 : 0,
            status == 204 ? bytes_of(NULL, 0) : buffer_bytes(&e->worker->answer));
}

void exchange_answer_text(struct exchange *e, const char *content_type, const struct http_header *headers,
                          size_t header_count, struct bytes body)
{
    respond(e, 200, content_type, headers, header_count, body);
}

void exchange_answer_empty(struct exchange *e, const struct http_header *headers, size_t header_count)
{
    respond(e, 204, NULL, headers, header_count, bytes_of(NULL, 0));
}

bool exchange_check_names(struct exchange *e)
{
    const struct route_match *match = &e->match;
    const char *empty = match->book.len == 0 ? "book" : match->path.base && match->path.len == 0 ? "path" : NULL;
    if (empty) {
        exchange_answer(e, answer_invalid(exchange_json(e), empty, "must not be empty"));
        return false;
    }
    if (!scope_may_read(e->scope, match->book)) {
        exchange_answer(e, answer_forbidden(exchange_json(e), match->book));
        return false;
    }
    return true;
}

bool exchange_read_index(struct exchange *e)
{
    struct worker *w = e->worker;
    int error = worker_begin_reading(w);
    if (error == 0)
        return true;
    request_log_error(e, "cannot read the index: %s", strerror(error));
    exchange_answer(e, answer_internal(exchange_json(e), "the index cannot be read"));
    return false;
}

void exchange_read_failed(struct exchange *e, int error)
{
    index_reader_end(e->worker->index);
    request_log_error(e, "a read failed: %s", strerror(error));
    exchange_answer(e, answer_internal(exchange_json(e), "the ledger's files cannot be read"));
}

/* --- admission --- */

/* Each worker counts its own; the sum is what the setting bounds. A cache line each, so only of those there are. */
static uint64_t requests_in_flight(const struct worker *w)
{
    uint64_t sum = 0;
    uint32_t slots = atomic_load_explicit(&w->border->slot_count, memory_order_relaxed);
    for (uint32_t n = 0; n < slots; n++)
        sum += atomic_load_explicit(&w->border->worker[n].in_flight, memory_order_relaxed);
    return sum;
}

static void enter_flight(struct exchange *e)
{
    e->in_flight = true;
    atomic_fetch_add_explicit(&e->worker->slot->in_flight, 1, memory_order_relaxed);
}

void exchange_leave_flight(struct exchange *e)
{
    if (!e->in_flight)
        return;
    e->in_flight = false;
    atomic_fetch_sub_explicit(&e->worker->slot->in_flight, 1, memory_order_relaxed);
}

static void on_closed(void *context)
{
    exchange_leave_flight(context);
}

/* --- requests --- */

/* Token, then method, then what is wrong with the path's names. False: answered. */
static bool admit(struct exchange *e)
{
    const struct route *route = &routes[e->match.id];
    if (route->needs_token && !authenticate(e))
        return false;
    if (!route_takes(e->match.id, e->method)) {
        exchange_answer(e, answer_method_not_allowed(exchange_json(e)));
        return false;
    }
    if (e->match.not_utf8) {
        exchange_answer(e, answer_invalid(exchange_json(e), "path", "does not decode to UTF-8"));
        return false;
    }
    return true;
}

static void on_request(void *context, struct http_request *http, bool on_metrics_listener)
{
    struct worker *w = context;
    struct exchange *e = arena_alloc(http_arena(http), sizeof *e);
    *e = (struct exchange){.worker = w, .http = http, .method = http_method_of(http_method(http)),
                           .on_metrics_listener = on_metrics_listener};
    routes_match(http_target(http), on_metrics_listener, http_arena(http), &e->match);
    e->book = e->match.book;
    http_on_closed(http, on_closed, e);
    if (e->match.id == ROUTE_NONE) {
        exchange_answer(e, answer_not_found(exchange_json(e), "path", bytes_of(NULL, 0)));
        return;
    }
    if (!on_metrics_listener && requests_in_flight(w) >= w->settings->max_inflight) {
        counter_add(&w->slot->counters.shed, 1);
        exchange_answer(e, answer_overloaded(exchange_json(e), 503));
        return;
    }
    enter_flight(e);
    if (!cors_answer_preflight(e) && admit(e))
        routes[e->match.id].handle(e);
}

static void on_refused(void *context, struct http_request *http, const struct http_fault_answer *answer)
{
    struct worker *w = context;
    struct exchange *e = arena_alloc(http_arena(http), sizeof *e);
    *e = (struct exchange){.worker = w, .http = http, .method = http_method_of(http_method(http))};
    e->match.id = ROUTE_NONE;
    answer_invalid(exchange_json(e), answer->field, answer->reason);
    request_log_refused(e, answer->status, answer->reason, count(e, answer->status));
    http_refuse(http, answer->status, buffer_bytes(&w->answer));
}

static struct bytes on_timeout(void *context, struct bytes request_id)
{
    struct worker *w = context;
    buffer_clear(&w->answer);
    json_text_restart(w->json, &w->answer);
    answer_timeout(w->json);
    counter_add(&w->slot->counters.timeouts, 1);
    metrics_count_request(&w->slot->counters, ROUTE_NONE, METHOD_OTHER, 408, 0);
    request_log_cut_off(w, request_id);
    return buffer_bytes(&w->answer);
}

void worker_met_limit(struct worker *w, enum http_limit limit)
{
    counter_add(&w->slot->counters.limits[limit], 1);
}

static void on_limit(void *context, enum http_limit limit)
{
    worker_met_limit(context, limit);
}

/* One large answer, or event, is no reason to keep its memory for ever. */
static void shrink(struct buffer *buffer)
{
    if (buffer->capacity > BUFFER_KEPT_BYTES)
        buffer_free(buffer);
}

static void on_tick(void *context)
{
    struct worker *w = context;
    shrink(&w->answer);
    shrink(&w->scratch);
    atomic_store_explicit(&w->slot->alive_ns, clock_monotonic_ns(), memory_order_relaxed);
    atomic_store_explicit(&w->slot->open_fds, process_open_fds(), memory_order_relaxed);
    submissions_expire(w->submissions);
    event_streams_tick(w->event_streams);
}

static bool on_connected(void *context, const struct peer_address *peer, uint32_t *place)
{
    struct worker *w = context;
    if (!address_limit_enter(w->border, w->number, peer, w->settings->max_connections_per_address, place))
        return false;
    atomic_fetch_add(&w->slot->connections, 1);
    return true;
}

static void on_disconnected(void *context, uint32_t place)
{
    struct worker *w = context;
    address_limit_leave(w->border, w->number, place);
    atomic_fetch_sub(&w->slot->connections, 1);
}

/* --- the loop --- */

/* What the arbiter has to say. True when answers were written: the event loop must then run before it may sleep. */
static bool listen_to_arbiter(struct worker *w)
{
    bool any = submissions_receive(w->submissions);
    return event_streams_feed(w->event_streams) || any;
}

static void on_bell(void *context)
{
    struct worker *w = context;
    bell_wake_up(&w->slot->bell);
    (void)listen_to_arbiter(w); /* within the event loop: it sees to what was written */
}

static void on_terminate(int signal_number)
{
    (void)signal_number;
    told_to_leave = 1;
    bell_ring_anyway(own_bell);
}

static void on_log_moved(int signal_number)
{
    (void)signal_number;
    report_reopen_soon();
    bell_ring_anyway(own_bell);
}

/* A worker that is told to leave by itself is replaced; all together leave on the master's order. */
static void set_up_signals(struct worker *w)
{
    struct sigaction terminate = {.sa_handler = on_terminate};
    struct sigaction log_moved = {.sa_handler = on_log_moved, .sa_flags = SA_RESTART};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    static const int ignored[] = {SIGINT, SIGQUIT, SIGHUP, SIGPIPE, SIGUSR2, SIGTTIN, SIGTTOU};
    own_bell = &w->slot->bell;
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        sigaction(ignored[i], &ignore, NULL);
    sigaction(SIGTERM, &terminate, NULL);
    sigaction(SIGUSR1, &log_moved, NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool should_leave(const struct worker *w)
{
    return told_to_leave || atomic_load(&w->slot->order) != ORDER_RUN;
}

/*
 * May connections go that rest between two requests? Not while others serve:
 * a request that is on its way just then would be lost. Each is told to close
 * with its next answer, and after a while those that never come again go.
 */
static bool resting_may_go(const struct worker *w)
{
    return atomic_load(&w->slot->order) == ORDER_DRAIN || atomic_load(&w->slot->connections) == 0 ||
           clock_monotonic_ns() - w->draining_since_ns >= REST_MAX_NS;
}

/* Nothing is left to do: no request is under way or about to come, no stream is open. */
static bool has_left(const struct worker *w)
{
    return w->draining && atomic_load(&w->slot->in_flight) == 0 && atomic_load(&w->slot->event_streams) == 0 &&
           !http_expects_requests(w->http) && resting_may_go(w);
}

static bool leave_if_told(struct worker *w)
{
    if (!w->draining && !should_leave(w))
        return false;
    bool first = !w->draining;
    if (first) {
        w->draining_since_ns = clock_monotonic_ns();
        http_drain(w->http);
    }
    w->draining = true;
    return event_streams_end(w->event_streams) || first;
}

static void run(struct worker *w)
{
    struct bell *bell = &w->slot->bell;
    while (!has_left(w)) {
        report_reopen_if_told();
        bell_prepare_sleep(bell);
        bool busy = listen_to_arbiter(w);
        busy = leave_if_told(w) || busy;
        http_run(w->http, busy || has_left(w) ? 0 : event_streams_rest_ms(w->event_streams, SLEEP_MAX_MS));
        atomic_store(&bell->asleep, 0);
        submissions_flush(w->submissions);
    }
    /* Answers that were written but not yet sent off by the loop. */
    http_run(w->http, 0);
}

static void open_ledger(struct worker *w)
{
    int error = index_reader_open(w->settings->data_dir, &w->index);
    if (error)
        report_fatal(EXIT_STATUS_FAILED, "cannot open the index: %s", strerror(error));
    w->log = log_reader_create(w->settings->data_dir);
}

static struct http_limits limits_of(const struct settings *settings)
{
    static const uint64_t second_ns = 1000000000;
    return (struct http_limits){
        .connections_max = settings->max_connections,
        .head_timeout_ns = settings->head_timeout_secs * second_ns,
        .body_timeout_ns = settings->body_timeout_secs * second_ns,
        .request_timeout_ns = settings->request_timeout_secs * second_ns,
        .idle_timeout_ns = settings->idle_timeout_secs * second_ns,
        .write_timeout_ns = settings->write_timeout_secs * second_ns,
        .body_max_bytes = settings->body_max_bytes,
        .unsent_max_bytes = settings->unsent_max_bytes,
    };
}

void worker_run(struct border *border, uint32_t number, uint32_t generation, const struct settings *settings,
                const struct tokens *tokens, int api_fd, int metrics_fd)
{
    struct worker w = {
        .border = border,
        .slot = &border->worker[number],
        .number = number,
        .generation = generation,
        .settings = settings,
        .tokens = tokens,
    };
    char name[32];
    snprintf(name, sizeof name, "worker %u", number);
    report_set_process(name);
    process_set_oom_score(OOM_SCORE_WORKER);
    setproctitle("-talead: worker %u %s", number, settings->data_dir);
    set_up_signals(&w);
    w.fenced = confinement_begin(border, number, settings);
    open_ledger(&w);
    w.json = json_text_create(&w.answer);
    w.submissions = submissions_create(border, number, generation);
    w.event_streams = event_streams_create(&w);
    w.documents = documents_load(settings);
    struct http_config config = {
        .context = &w,
        .on_request = on_request,
        .on_refused = on_refused,
        .on_timeout = on_timeout,
        .on_limit = on_limit,
        .on_tick = on_tick,
        .on_connected = on_connected,
        .on_disconnected = on_disconnected,
        .limits = limits_of(settings),
        .api_fd = api_fd,
        .metrics_fd = metrics_fd,
    };
    submissions_await_rings(w.submissions);
    w.http = http_server_create(&config);
    http_watch(w.http, w.slot->bell.fd, on_bell, &w);
    confinement_complete(w.slot, settings);
    run(&w);
    exit(EXIT_STATUS_OK);
}
