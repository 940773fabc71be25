#include "server/http_server.h"

/*
 * h2o keeps a request's memory in a pool that is cleared when the answer was
 * written or the connection died; a shared object with a dispose function in
 * that pool is how this module notices either.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "common/rfc3339.h"
#include "common/uuid7.h"
#include "server/http_guard.h"

#define REQUEST_ID_MAX 128 /* of one that is taken over */

struct http_stream {
    h2o_generator_t super;
    h2o_req_t *req;
    void (*ready)(void *context);
    void *context;
};

struct http_request {
    struct http_server *server;
    struct http_connection *connection;
    h2o_req_t *req;
    struct arena *arena;
    struct bytes id;
    bool first_line; /* is known; else h2o has another in its place */
    uint64_t begun_ns;
    void (*closed)(void *context);
    void *closed_context;
    struct http_stream stream;
    h2o_generator_t generator;
};

/* The handler of h2o's that brings a listener's requests here. */
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
    ssize_t first = h2o_find_header_by_str(&req->headers, H2O_STRLIT(HTTP_REQUEST_ID), -1);
    if (first < 0 || h2o_find_header_by_str(&req->headers, H2O_STRLIT(HTTP_REQUEST_ID), first) >= 0)
        return make_id(req);
    const h2o_iovec_t *value = &req->headers.entries[first].value;
    struct bytes id = bytes_of(value->base, value->len);
    return is_sane_id(id) ? id : make_id(req);
}

static void add_request_id(h2o_req_t *req, struct bytes id)
{
    h2o_add_header_by_str(&req->pool, &req->res.headers, H2O_STRLIT(HTTP_REQUEST_ID), 0, NULL, (const char *)id.base,
                          id.len);
}

/* --- requests --- */

static void part(h2o_generator_t *super, h2o_req_t *req);

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
    http_connection_end(request->connection);
    if (request->closed)
        request->closed(request->closed_context);
    give_arena_back(request->server, request->arena);
}

/*
 * RFC 9112, 9.3: "close" closes, else HTTP/1.1 goes on. h2o looks at the last
 * Connection field alone, and takes one with neither word for "close".
 */
static void heed_connection(h2o_req_t *req)
{
    bool close = false;
    for (ssize_t i = -1; (i = h2o_find_header(&req->headers, H2O_TOKEN_CONNECTION, i)) >= 0;) {
        const h2o_iovec_t *value = &req->headers.entries[i].value;
        close = close || h2o_contains_token(value->base, value->len, H2O_STRLIT("close"), ',');
    }
    if (close)
        req->http1_is_persistent = 0;
    else if (req->version >= 0x101 && !req->conn->ctx->shutdown_requested)
        req->http1_is_persistent = 1;
}

static int on_request(h2o_handler_t *super, h2o_req_t *req)
{
    struct entry_handler *self = (struct entry_handler *)super;
    struct http_request *request = h2o_mem_alloc_shared(&req->pool, sizeof *request, dispose_request);
    *request = (struct http_request){
        .server = self->server,
        .connection = http_connection_of(req),
        .req = req,
        .arena = take_arena(self->server),
        .id = request_id_of(req),
        .begun_ns = clock_monotonic_ns(),
        .generator = {.proceed = part},
    };
    http_connection_begin(request->connection, request, request->begun_ns);
    const struct http_config *config = &self->server->config;
    enum http_fault fault = http_guard_take(&request->first_line);
    if (fault) {
        config->on_refused(config->context, request, http_fault_answer(fault));
    } else {
        heed_connection(req);
        config->on_request(config->context, request, self->metrics);
    }
    return 0;
}

void http_add_handler(struct http_server *server, h2o_pathconf_t *path, bool metrics)
{
    struct entry_handler *handler = (void *)h2o_create_handler(path, sizeof *handler);
    handler->super.on_req = on_request;
    handler->server = server;
    handler->metrics = metrics;
}

struct bytes http_method(const struct http_request *request)
{
    if (!request->first_line)
        return bytes_of("", 0);
    return bytes_of(request->req->input.method.base, request->req->input.method.len);
}

struct bytes http_target(const struct http_request *request)
{
    return request->first_line ? target_of(request->req) : bytes_of("", 0);
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

void http_peer(const struct http_request *request, struct peer_address *out)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    h2o_conn_t *conn = request->req->conn;
    (void)conn->callbacks->get_peername(conn, (struct sockaddr *)&address);
    peer_address_of((struct sockaddr *)&address, out);
}

uint64_t http_begun_ns(const struct http_request *request)
{
    return request->begun_ns;
}

uint64_t http_deadline_ns(const struct http_request *request)
{
    uint64_t since_ns = request->connection->received_since_ns;
    return (since_ns ? since_ns : request->begun_ns) + request->server->config.limits.request_timeout_ns;
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
    case 417:
        return "Expectation Failed";
    case 429:
        return "Too Many Requests";
    case 431:
        return "Request Header Fields Too Large";
    case 501:
        return "Not Implemented";
    case 503:
        return "Service Unavailable";
    case 505:
        return "HTTP Version Not Supported";
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

static void send_body(struct http_request *request, struct bytes body, h2o_send_state_t state)
{
    h2o_req_t *req = request->req;
    char *copy = h2o_mem_alloc_pool(&req->pool, body.len);
    memcpy(copy, body.base, body.len);
    h2o_iovec_t vector = h2o_iovec_init(copy, body.len);
    http_connection_sends(request->connection, body.len);
    h2o_send(req, &vector, 1, state);
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
        http_connection_sends(request->connection, 0);
        h2o_send(req, NULL, 0, H2O_SEND_STATE_FINAL);
    } else {
        send_body(request, body, H2O_SEND_STATE_FINAL);
    }
}

/* --- refusals --- */

/* Nobody reads on; h2o closes the connection. */
static void on_parted(struct http_connection *connection)
{
    h2o_send(connection->request->req, NULL, 0, H2O_SEND_STATE_FINAL);
}

/* The refusal was written. */
static void part(h2o_generator_t *super, h2o_req_t *req)
{
    struct http_request *request = H2O_STRUCT_FROM_MEMBER(struct http_request, generator, super);
    (void)req;
    http_connection_part(request->connection, on_parted);
}

void http_refuse(struct http_request *request, int status, struct bytes body)
{
    h2o_req_t *req = request->req;
    request->server->checking = false;
    req->http1_is_persistent = 0;
    set_head(request, status, "application/json", NULL, 0);
    req->res.content_length = body.len;
    h2o_start_response(req, &request->generator);
    if (is_head(req))
        h2o_send(req, NULL, 0, H2O_SEND_STATE_IN_PROGRESS);
    else
        send_body(request, body, H2O_SEND_STATE_IN_PROGRESS);
}

/* --- streams --- */

static void stream_proceed(h2o_generator_t *super, h2o_req_t *req)
{
    struct http_stream *stream = (struct http_stream *)super;
    (void)req;
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
    assert(bytes.len > 0);
    h2o_iovec_t vector = h2o_iovec_init(bytes.base, bytes.len);
    http_connection_sends(http_connection_of(stream->req), bytes.len);
    h2o_send(stream->req, &vector, 1, H2O_SEND_STATE_IN_PROGRESS);
}

void http_stream_end(struct http_stream *stream)
{
    h2o_send(stream->req, NULL, 0, H2O_SEND_STATE_FINAL);
}

bool http_stream_is_half_closed(const struct http_stream *stream)
{
    char octet;
    h2o_socket_t *socket = stream->req->conn->callbacks->get_socket(stream->req->conn);
    return recv(h2o_socket_get_fd(socket), &octet, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

void http_stream_abort(struct http_stream *stream)
{
    h2o_socket_t *socket = stream->req->conn->callbacks->get_socket(stream->req->conn);
    /* The write that is under way fails, and h2o cleans up as after any client that has gone. */
    if (socket)
        shutdown(h2o_socket_get_fd(socket), SHUT_RDWR);
}
