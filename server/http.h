#ifndef TALEA_SERVER_HTTP_H
#define TALEA_SERVER_HTTP_H
/*
 * HTTP for one worker, on h2o (2.2.5, its own event loop): the one door to it.
 * One thread; every callback is called from http_run.
 *
 * A handler answers a request at once (http_respond), or later, or begins a
 * stream. A request that is not answered yet can go away when its client does:
 * then, and also after its answer was written, its closed callback is called,
 * once, and the request is no more.
 *
 * A request that is no good HTTP, or too large, never comes to the handler:
 * on_refused answers it with http_refuse, and nothing behind it is read.
 *
 * Each request has an id, which its answer carries as `x-request-id`: what the
 * client sent under this name, once and in a sane form, else a new one.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/bytes.h"
#include "server/http_fault.h"
#include "server/http_limit.h"
#include "server/peer_address.h"

struct http_server;
struct http_request;
struct http_stream;

struct http_limits {
    uint64_t connections_max;    /* of this worker */
    uint64_t head_timeout_ns;    /* from its first octet */
    uint64_t body_timeout_ns;    /* from the head's end */
    uint64_t request_timeout_ns; /* from the first octet to the answer */
    uint64_t idle_timeout_ns;    /* between two requests */
    uint64_t write_timeout_ns;   /* without the client taking anything of an answer */
    uint64_t body_max_bytes;     /* of a request, up to HTTP_BODY_MAX_MAX */
    uint64_t unsent_max_bytes;   /* of an answer that its client does not read, for two seconds */
};

#define HTTP_BODY_MAX_MAX (UINT32_C(1) << 30)

struct http_config {
    void *context;
    void (*on_request)(void *context, struct http_request *request, bool on_metrics_listener);
    /* Is to call http_refuse. The request has neither method nor target where its head was refused. */
    void (*on_refused)(void *context, struct http_request *request, const struct http_fault_answer *answer);
    /* A request did not come whole in time: the body of its answer, 408. */
    struct bytes (*on_timeout)(void *context, struct bytes request_id);
    void (*on_limit)(void *context, enum http_limit limit); /* a client met it */
    void (*on_tick)(void *context); /* about once a second */
    /* False: the address has too many; else *place is the caller's, and comes back. */
    bool (*on_connected)(void *context, const struct peer_address *peer, uint32_t *place);
    void (*on_disconnected)(void *context, uint32_t place);
    struct http_limits limits;
    int api_fd;
    int metrics_fd; /* -1: none */
};

struct http_server *http_server_create(const struct http_config *config);

/*
 * One round of the event loop; waits up to timeout_ms for something to happen.
 * What was answered outside of a callback needs a round with 0 before one that
 * may wait: the loop looks after finished writes only behind its wait.
 */
void http_run(struct http_server *server, int32_t timeout_ms);

/* Calls `readable` whenever fd, of which there is one, has something to read; the caller reads it. */
void http_watch(struct http_server *server, int fd, void (*readable)(void *context), void *context);

/* No more connections are accepted, those that are open close after their current answer. */
void http_drain(struct http_server *server);

/*
 * After http_drain: true, for a second at most, while a connection that was
 * accepted has had no answer yet, or a request has come in part. Whoever leaves
 * before breaks a connection that the next talead would have served.
 */
bool http_expects_requests(struct http_server *server);

/* --- a request --- */

struct bytes http_method(const struct http_request *request);
struct bytes http_target(const struct http_request *request); /* path and query as sent, without scheme and host */
struct bytes http_body(const struct http_request *request);
/* base NULL when there is none; the first when there are several. `name` is in lower case. */
struct bytes http_header(const struct http_request *request, const char *name);
struct bytes http_request_id(const struct http_request *request);
void http_peer(const struct http_request *request, struct peer_address *out); /* who sent it */
uint64_t http_begun_ns(const struct http_request *request); /* when it had come whole */
uint64_t http_deadline_ns(const struct http_request *request); /* CLOCK_MONOTONIC: answer before */

/* Lives as long as the request. */
struct arena *http_arena(struct http_request *request);
void http_on_closed(struct http_request *request, void (*closed)(void *context), void *context);

/* A response header; the name and value live until the answer is sent. */
struct http_header {
    const char *name;
    struct bytes value;
};

/* Answers. The body is copied; for HEAD its length alone is sent. */
void http_respond(struct http_request *request, int status, const char *content_type, const struct http_header *headers,
                  size_t header_count, struct bytes body);

/* Answers in JSON, and reads no more of this connection. */
void http_refuse(struct http_request *request, int status, struct bytes body);

/*
 * Begins an answer without a known end. Its head leaves with the first piece
 * that is sent; h2o holds it back so long. `ready` is
 * called when everything handed over so far was written; only then may more be
 * sent. Ends with http_stream_end, or when the client goes away (closed).
 */
struct http_stream *http_stream_begin(struct http_request *request, const char *content_type,
                                      const struct http_header *headers, size_t header_count,
                                      void (*ready)(void *context), void *context);
/* Not empty. The bytes stay as they are until ready or closed is called. */
void http_stream_send(struct http_stream *stream, struct bytes bytes);
void http_stream_end(struct http_stream *stream);
/* Has its client closed its half? It may have left, which a write finds out, or still read. */
bool http_stream_is_half_closed(const struct http_stream *stream);
/* Breaks the connection, though the client has not taken what was sent. Its closed callback is called later. */
void http_stream_abort(struct http_stream *stream);

#endif
