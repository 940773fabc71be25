#include "server/http.h"

/*
 * h2o keeps a request's memory in a pool that is cleared when the answer was
 * written or the connection died; a shared object with a dispose function in
 * that pool is how this module notices either.
 *
 * Closed doors of h2o 2.2.5: HTTP/2 over plain text is off; running out of
 * descriptors on accept pauses the listener instead of spinning; its own
 * refusals, plain text with statuses of its own, are rewritten by a filter on
 * the path that h2o binds such answers to.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include <h2o.h>
#include <h2o/http1.h>

#include "common/exit_status.h"
#include "common/report.h"
#include "common/rfc3339.h"
#include "common/uuid7.h"

#define REQUEST_ID "x-request-id"
#define REQUEST_ID_MAX 128 /* of one that is taken over */
#define ACCEPTS_PER_ROUND 16
#define TICK_MS 1000
#define ACCEPT_PAUSE_MS 100
#define DRAIN_GRACE_MS 1000 /* for requests that were to come, or to come whole, when it began to leave */
#define IDLE_TIMEOUT_MS 60000
#define SPARE_ARENAS_MAX 256

struct listener {
    struct http_server *server;
    h2o_socket_t *socket;
    h2o_accept_ctx_t accept;
    h2o_hostconf_t *hosts[2];
};

struct http_server {
    struct http_config config;
    h2o_globalconf_t h2o;
    h2o_context_t context;
    struct listener listeners[2];
    int listener_count;
    h2o_timeout_t tick_timeout;
    h2o_timeout_entry_t tick;
    h2o_socket_t *watched;
    void (*watched_readable)(void *context);
    void *watched_context;
    h2o_timeout_t pause_timeout;
    h2o_timeout_entry_t pause;
    bool paused;
    bool draining;
    h2o_timeout_t grace_timeout;
    h2o_timeout_entry_t grace;
    bool grace_over;
    struct arena *spare_arenas[SPARE_ARENAS_MAX];
    int spare_arena_count;
};

struct http_stream {
    h2o_generator_t super;
    h2o_req_t *req;
    void (*ready)(void *context);
    void *context;
    char *sending; /* h2o points into it until it calls proceed */
};

struct http_request {
    struct http_server *server;
    h2o_req_t *req;
    struct arena *arena;
    struct bytes id;
    uint64_t begun_ns;
    void (*closed)(void *context);
    void *closed_context;
    struct http_stream stream;
    h2o_generator_t generator;
};

/* The handler of h2o's that brings a request here. */
struct entry_handler {
    h2o_handler_t super;
    struct http_server *server;
    bool metrics;
};

/* --- what a request says --- */

static struct bytes target_of(const h2o_req_t *req)
{
    struct bytes target = bytes_of(req->input.path.base, req->input.path.len);
    /* RFC 9112, 3.2.2: a server takes the absolute form too. */
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        size_t length = strlen(schemes[i]);
        if (target.len < length || strncasecmp((const char *)target.base, schemes[i], length) != 0)
            continue;
        const uint8_t *path = memchr(target.base + length, '/', target.len - length);
        return path ? bytes_of(path, target.len - (size_t)(path - target.base)) : BYTES_LITERAL("/");
    }
    return target;
}

static bool is_sane_id(struct bytes id)
{
    for (size_t i = 0; i < id.len; i++) {
        uint8_t c = id.base[i], letter = c | 0x20;
        if (!(letter >= 'a' && letter <= 'z') && !(c >= '0' && c <= '9') && !(c && strchr("._:/+=@-", c)))
            return false;
    }
    return id.len >= 1 && id.len <= REQUEST_ID_MAX;
}

static struct bytes make_id(h2o_req_t *req)
{
    char *text = h2o_mem_alloc_pool(&req->pool, UUID_TEXT_LEN);
    uuid_format(uuid7_make(clock_now_us()), text);
    return bytes_of(text, UUID_TEXT_LEN);
}

/* What the client sent, or a new one; several are as bad as none: which of them would a log mean? */
static struct bytes request_id_of(h2o_req_t *req)
{
    ssize_t first = h2o_find_header_by_str(&req->headers, H2O_STRLIT(REQUEST_ID), -1);
    if (first < 0 || h2o_find_header_by_str(&req->headers, H2O_STRLIT(REQUEST_ID), first) >= 0)
        return make_id(req);
    const h2o_iovec_t *value = &req->headers.entries[first].value;
    struct bytes id = bytes_of(value->base, value->len);
    return is_sane_id(id) ? id : make_id(req);
}

static void add_request_id(h2o_req_t *req, struct bytes id)
{
    h2o_add_header_by_str(&req->pool, &req->res.headers, H2O_STRLIT(REQUEST_ID), 0, NULL, (const char *)id.base,
                          id.len);
}

/* --- refusals of h2o's own --- */

struct refusal_filter {
    h2o_filter_t super;
    struct http_server *server;
    bool metrics;
};

struct refusal_stream {
    h2o_ostream_t super;
    struct bytes body;
};

static void send_refusal(h2o_ostream_t *super, h2o_req_t *req, h2o_iovec_t *bufs, size_t count, h2o_send_state_t state)
{
    struct refusal_stream *self = (struct refusal_stream *)super;
    (void)bufs, (void)count;
    h2o_iovec_t body = h2o_iovec_init((char *)self->body.base, self->body.len);
    h2o_ostream_send_next(super, req, &body, 1, state);
}

static void reword_refusal(h2o_filter_t *super, h2o_req_t *req, h2o_ostream_t **slot)
{
    struct refusal_filter *self = (struct refusal_filter *)super;
    struct refusal_stream *stream = (struct refusal_stream *)h2o_add_ostream(req, sizeof *stream, slot);
    stream->super.do_send = send_refusal;
    stream->body = self->server->config.refused_body;
    req->res.status = 400;
    req->res.reason = "Bad Request";
    req->res.content_length = stream->body.len;
    memset(&req->res.headers, 0, sizeof req->res.headers);
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL, H2O_STRLIT("application/json"));
    struct http_refusal refusal = {
        .method = bytes_of(req->input.method.base, req->input.method.len),
        .target = target_of(req),
        .id = request_id_of(req),
        .on_metrics_listener = self->metrics,
        .status = req->res.status,
        .body_bytes = stream->body.len,
    };
    add_request_id(req, refusal.id);
    h2o_setup_next_ostream(req, &stream->super.next);
    self->server->config.on_refused(self->server->config.context, &refusal);
}

static void add_refusal_filter(struct http_server *server, h2o_hostconf_t *host, bool metrics)
{
    struct refusal_filter *filter = (void *)h2o_create_filter(&host->fallback_path, sizeof *filter);
    filter->super.on_setup_ostream = reword_refusal;
    filter->server = server;
    filter->metrics = metrics;
}

/* --- requests --- */

static struct arena *take_arena(struct http_server *server)
{
    if (server->spare_arena_count > 0)
        return server->spare_arenas[--server->spare_arena_count];
    return arena_create();
}

static void give_arena_back(struct http_server *server, struct arena *arena)
{
    if (server->spare_arena_count == SPARE_ARENAS_MAX) {
        arena_destroy(&arena);
        return;
    }
    arena_reset(arena);
    server->spare_arenas[server->spare_arena_count++] = arena;
}

static void dispose_request(void *p)
{
    struct http_request *request = p;
    if (request->closed)
        request->closed(request->closed_context);
    free(request->stream.sending);
    give_arena_back(request->server, request->arena);
}

static int on_request(h2o_handler_t *super, h2o_req_t *req)
{
    struct entry_handler *self = (struct entry_handler *)super;
    struct http_request *request = h2o_mem_alloc_shared(&req->pool, sizeof *request, dispose_request);
    *request = (struct http_request){
        .server = self->server,
        .req = req,
        .arena = take_arena(self->server),
        .id = request_id_of(req),
        .begun_ns = clock_monotonic_ns(),
    };
    self->server->config.on_request(self->server->config.context, request, self->metrics);
    return 0;
}

struct bytes http_method(const struct http_request *request)
{
    return bytes_of(request->req->input.method.base, request->req->input.method.len);
}

struct bytes http_target(const struct http_request *request)
{
    return target_of(request->req);
}

struct bytes http_body(const struct http_request *request)
{
    return bytes_of(request->req->entity.base, request->req->entity.len);
}

struct bytes http_header(const struct http_request *request, const char *name)
{
    ssize_t i = h2o_find_header_by_str(&request->req->headers, name, strlen(name), -1);
    if (i < 0)
        return bytes_of(NULL, 0);
    const h2o_iovec_t *value = &request->req->headers.entries[i].value;
    return bytes_of(value->base ? value->base : "", value->len);
}

struct bytes http_request_id(const struct http_request *request)
{
    return request->id;
}

uint64_t http_begun_ns(const struct http_request *request)
{
    return request->begun_ns;
}

struct arena *http_arena(struct http_request *request)
{
    return request->arena;
}

void http_on_closed(struct http_request *request, void (*closed)(void *context), void *context)
{
    request->closed = closed;
    request->closed_context = context;
}

static const char *reason_of(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 204:
        return "No Content";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 409:
        return "Conflict";
    case 415:
        return "Unsupported Media Type";
    case 429:
        return "Too Many Requests";
    case 503:
        return "Service Unavailable";
    default:
        return "Internal Server Error";
    }
}

static void set_head(const struct http_request *request, int status, const char *content_type,
                     const struct http_header *headers, size_t count)
{
    h2o_req_t *req = request->req;
    req->res.status = status;
    req->res.reason = reason_of(status);
    if (content_type)
        h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL, content_type,
                       strlen(content_type));
    for (size_t i = 0; i < count; i++)
        h2o_add_header_by_str(&req->pool, &req->res.headers, headers[i].name, strlen(headers[i].name), 0, NULL,
                              (const char *)headers[i].value.base, headers[i].value.len);
    add_request_id(req, request->id);
}

static bool is_head(const h2o_req_t *req)
{
    return req->input.method.len == 4 && memcmp(req->input.method.base, "HEAD", 4) == 0;
}

void http_respond(struct http_request *request, int status, const char *content_type, const struct http_header *headers,
                  size_t header_count, struct bytes body)
{
    h2o_req_t *req = request->req;
    set_head(request, status, content_type, headers, header_count);
    /* 204 has no body and says no length (RFC 9110, 8.6). */
    req->res.content_length = status == 204 ? SIZE_MAX : body.len;
    if (status == 204)
        req->http1_is_persistent = req->http1_is_persistent && req->version >= 0x101;
    h2o_start_response(req, &request->generator);
    if (is_head(req) || status == 204 || body.len == 0) {
        h2o_send(req, NULL, 0, H2O_SEND_STATE_FINAL);
        return;
    }
    char *copy = h2o_mem_alloc_pool(&req->pool, body.len);
    memcpy(copy, body.base, body.len);
    h2o_iovec_t vector = h2o_iovec_init(copy, body.len);
    h2o_send(req, &vector, 1, H2O_SEND_STATE_FINAL);
}

/* --- streams --- */

static void stream_proceed(h2o_generator_t *super, h2o_req_t *req)
{
    struct http_stream *stream = (struct http_stream *)super;
    (void)req;
    free(stream->sending);
    stream->sending = NULL;
    stream->ready(stream->context);
}

/* The client went away: the request's closed callback says so. */
static void stream_stop(h2o_generator_t *super, h2o_req_t *req)
{
    (void)super, (void)req;
}

struct http_stream *http_stream_begin(struct http_request *request, const char *content_type,
                                      const struct http_header *headers, size_t header_count,
                                      void (*ready)(void *context), void *context)
{
    struct http_stream *stream = &request->stream;
    *stream = (struct http_stream){
        .super = {.proceed = stream_proceed, .stop = stream_stop},
        .req = request->req,
        .ready = ready,
        .context = context,
    };
    set_head(request, 200, content_type, headers, header_count);
    /* HTTP/1.0 knows no chunks: there the end of the connection is the end of the stream. */
    if (request->req->version < 0x101)
        request->req->http1_is_persistent = 0;
    h2o_start_response(request->req, &stream->super);
    if (is_head(request->req))
        h2o_send(request->req, NULL, 0, H2O_SEND_STATE_FINAL);
    else
        h2o_send(request->req, NULL, 0, H2O_SEND_STATE_IN_PROGRESS);
    return stream;
}

void http_stream_send(struct http_stream *stream, struct bytes bytes)
{
    assert(bytes.len > 0 && !stream->sending);
    stream->sending = malloc(bytes.len);
    if (!stream->sending)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory in an event stream");
    memcpy(stream->sending, bytes.base, bytes.len);
    h2o_iovec_t vector = h2o_iovec_init(stream->sending, bytes.len);
    h2o_send(stream->req, &vector, 1, H2O_SEND_STATE_IN_PROGRESS);
}

void http_stream_end(struct http_stream *stream)
{
    h2o_send(stream->req, NULL, 0, H2O_SEND_STATE_FINAL);
}

void http_stream_abort(struct http_stream *stream)
{
    h2o_socket_t *socket = stream->req->conn->callbacks->get_socket(stream->req->conn);
    /* The write that is under way fails, and h2o cleans up as after any client that has gone. */
    if (socket)
        shutdown(h2o_socket_get_fd(socket), SHUT_RDWR);
}

/* --- connections --- */

static void on_socket_closed(void *context)
{
    struct http_server *server = context;
    server->config.on_connections(server->config.context, -1);
}

static void set_listening(struct http_server *server, bool listening);

static void resume_accepting(h2o_timeout_entry_t *entry)
{
    struct http_server *server = H2O_STRUCT_FROM_MEMBER(struct http_server, pause, entry);
    server->paused = false;
    if (!server->draining)
        set_listening(server, true);
}

static void pause_accepting(struct http_server *server)
{
    if (server->paused)
        return;
    report(REPORT_WARNING, "no descriptor is left for another connection: raise the limit of open files (LimitNOFILE)");
    server->paused = true;
    set_listening(server, false);
    server->pause.cb = resume_accepting;
    h2o_timeout_link(server->context.loop, &server->pause_timeout, &server->pause);
}

static void on_accept(h2o_socket_t *listener_socket, const char *error)
{
    struct listener *listener = listener_socket->data;
    struct http_server *server = listener->server;
    for (int i = 0; !error && i < ACCEPTS_PER_ROUND; i++) {
        h2o_socket_t *socket = h2o_evloop_socket_accept(listener_socket);
        if (!socket) {
            if (errno == EMFILE || errno == ENFILE)
                pause_accepting(server);
            return;
        }
        socket->on_close.cb = on_socket_closed;
        socket->on_close.data = server;
        server->config.on_connections(server->config.context, 1);
        h2o_accept(&listener->accept, socket);
    }
}

static void set_listening(struct http_server *server, bool listening)
{
    for (int i = 0; i < server->listener_count; i++) {
        if (listening)
            h2o_socket_read_start(server->listeners[i].socket, on_accept);
        else
            h2o_socket_read_stop(server->listeners[i].socket);
    }
}

/* --- the server --- */

static void on_tick(h2o_timeout_entry_t *entry)
{
    struct http_server *server = H2O_STRUCT_FROM_MEMBER(struct http_server, tick, entry);
    server->config.on_tick(server->config.context);
    h2o_timeout_link(server->context.loop, &server->tick_timeout, &server->tick);
}

static h2o_hostconf_t *add_host(struct http_server *server, const char *name, bool metrics)
{
    h2o_hostconf_t *host = h2o_config_register_host(&server->h2o, h2o_iovec_init(name, strlen(name)), 65535);
    h2o_pathconf_t *path = h2o_config_register_path(host, "/", 0);
    struct entry_handler *handler = (void *)h2o_create_handler(path, sizeof *handler);
    handler->super.on_req = on_request;
    handler->server = server;
    handler->metrics = metrics;
    add_refusal_filter(server, host, metrics);
    return host;
}

static void add_listener(struct http_server *server, int fd, h2o_hostconf_t *host)
{
    struct listener *listener = &server->listeners[server->listener_count++];
    listener->server = server;
    listener->hosts[0] = host;
    listener->accept.ctx = &server->context;
    listener->accept.hosts = listener->hosts;
    listener->socket = h2o_evloop_socket_create(server->context.loop, fd, H2O_SOCKET_FLAG_DONT_READ);
    listener->socket->data = listener;
}

struct http_server *http_server_create(const struct http_config *config)
{
    struct http_server *server = calloc(1, sizeof *server);
    if (!server)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    server->config = *config;
    h2o_config_init(&server->h2o);
    server->h2o.http1.upgrade_to_http2 = 0;
    server->h2o.http1.req_timeout = IDLE_TIMEOUT_MS;
    server->h2o.server_name = h2o_iovec_init(H2O_STRLIT("talea"));
    server->h2o.max_request_entity_size = 2 * (size_t)HTTP_BODY_MAX_BYTES;
    /* Each listener hands requests to its one host, whatever their Host field says. */
    h2o_hostconf_t *api = add_host(server, "api", false);
    h2o_hostconf_t *metrics = add_host(server, "metrics", true);
    h2o_context_init(&server->context, h2o_evloop_create(), &server->h2o);
    h2o_timeout_init(server->context.loop, &server->tick_timeout, TICK_MS);
    h2o_timeout_init(server->context.loop, &server->pause_timeout, ACCEPT_PAUSE_MS);
    h2o_timeout_init(server->context.loop, &server->grace_timeout, DRAIN_GRACE_MS);
    server->tick.cb = on_tick;
    h2o_timeout_link(server->context.loop, &server->tick_timeout, &server->tick);
    add_listener(server, config->api_fd, api);
    if (config->metrics_fd >= 0)
        add_listener(server, config->metrics_fd, metrics);
    set_listening(server, true);
    return server;
}

void http_run(struct http_server *server, int32_t timeout_ms)
{
    /*
     * What was sent since the last round, outside the loop, is finished first.
     * The loop would else poll it for writing while its callback is due, not
     * learn that the callback was called, and stop at an assertion when the
     * socket of a slow reader becomes writable later.
     */
    h2o_timeout__do_post_callback(server->context.loop);
    /* -1 says that epoll_wait was interrupted: the next round looks again. */
    (void)h2o_evloop_run(server->context.loop, timeout_ms);
}

static void on_watched(h2o_socket_t *socket, const char *error)
{
    struct http_server *server = socket->data;
    (void)error;
    server->watched_readable(server->watched_context);
}

void http_watch(struct http_server *server, int fd, void (*readable)(void *context), void *context)
{
    assert(!server->watched);
    server->watched_readable = readable;
    server->watched_context = context;
    server->watched = h2o_evloop_socket_create(server->context.loop, fd, H2O_SOCKET_FLAG_DONT_READ);
    server->watched->data = server;
    h2o_socket_read_start(server->watched, on_watched);
}

/* close(2) and nothing else: what waits in the queue is for whoever holds the socket, too. */
static void stop_listening(struct http_server *server)
{
    for (int i = 0; i < server->listener_count; i++)
        h2o_socket_close(server->listeners[i].socket);
    server->listener_count = 0;
}

static void end_grace(h2o_timeout_entry_t *entry)
{
    struct http_server *server = H2O_STRUCT_FROM_MEMBER(struct http_server, grace, entry);
    server->grace_over = true;
}

void http_drain(struct http_server *server)
{
    if (server->draining)
        return;
    server->draining = true;
    stop_listening(server);
    h2o_context_request_shutdown(&server->context);
    server->grace.cb = end_grace;
    h2o_timeout_link(server->context.loop, &server->grace_timeout, &server->grace);
}

/* Nothing was answered on it yet, or a part of a request is there. (h2o has a request for each connection.) */
static int expects_request(h2o_req_t *req, void *context)
{
    const h2o_socket_t *socket = req->conn->callbacks->get_socket(req->conn);
    (void)context;
    return socket->bytes_written == 0 || socket->input->size > 0;
}

bool http_expects_requests(struct http_server *server)
{
    return !server->grace_over &&
           server->h2o.http1.callbacks.foreach_request(&server->context, expects_request, NULL) != 0;
}
