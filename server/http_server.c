#include "server/http_server.h"

/*
 * Closed doors of h2o 2.2.5: HTTP/2 over plain text is off; its parsers are
 * replaced (http_guard.h), which is proved before the first client comes; its
 * one time-out is out of the way of ours; running out of descriptors on accept
 * is answered instead of spun over; clients that send faster than they are read,
 * or do not read, find bounded buffers in the kernel.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <h2o/http1.h>

#include "common/exit_status.h"
#include "common/report.h"
#include "common/rfc3339.h"
#include "server/http_epoll.h"
#include "server/http_guard.h"

#define ACCEPTS_PER_ROUND 16
#define TICK_MS 1000
#define ACCEPT_PAUSE_MS 100
#define DRAIN_GRACE_MS 1000 /* for requests that were to come, or to come whole, when it began to leave */
#define H2O_TIMEOUT_MS (24 * 3600 * 1000)
#define RECEIVE_BUFFER_BYTES (256 * 1024) /* h2o reads all that is there at once, and keeps it */
#define SEND_BUFFER_BYTES (256 * 1024)
#define SELF_CHECK_ROUNDS 100

/* --- accepting --- */

static void set_listening(struct http_server *server, bool listening);

static void open_reserve(struct http_server *server)
{
    if (server->reserve_fd < 0)
        server->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void resume_accepting(h2o_timeout_entry_t *entry)
{
    struct http_server *server = H2O_STRUCT_FROM_MEMBER(struct http_server, pause, entry);
    server->paused = false;
    open_reserve(server);
    if (!server->draining)
        set_listening(server, true);
}

static void pause_accepting(struct http_server *server)
{
    if (server->paused)
        return;
    server->paused = true;
    set_listening(server, false);
    server->pause.cb = resume_accepting;
    h2o_timeout_link(server->context.loop, &server->pause_timeout, &server->pause);
}

/*
 * No descriptor is left: one that was kept for this takes the next clients, who
 * learn that they are to come again, and then the listener rests a while.
 */
static void turn_away_waiting(struct http_server *server, int listener_fd)
{
    if (!server->paused)
        report(REPORT_WARNING,
               "no descriptor is left for another connection, clients are answered 503: raise the limit of open files "
               "(LimitNOFILE) or lower TALEA_MAX_CONNECTIONS");
    for (int i = 0; i < ACCEPTS_PER_ROUND && server->reserve_fd >= 0; i++) {
        close(server->reserve_fd);
        server->reserve_fd = -1;
        int fd = accept4(listener_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            server->config.on_limit(server->config.context, HTTP_LIMIT_DESCRIPTORS);
            http_turn_away(fd);
            close(fd);
        }
        open_reserve(server);
        if (fd < 0)
            break;
    }
    pause_accepting(server);
}

/* Every descriptor that is not accepted comes to the loop this way. */
static h2o_socket_t *make_socket(struct http_server *server, int fd, int flags)
{
    http_epoll_new_fd(fd);
    return h2o_evloop_socket_create(server->context.loop, fd, flags);
}

static void take_in(struct http_listener *listener, h2o_socket_t *socket)
{
    if (http_connections_add(listener->server->connections, socket)) {
        h2o_accept(&listener->accept, socket);
        return;
    }
    http_turn_away(h2o_socket_get_fd(socket));
    h2o_socket_close(socket);
}

static void on_accept(h2o_socket_t *listener_socket, const char *error)
{
    struct http_listener *listener = listener_socket->data;
    struct http_server *server = listener->server;
    for (int i = 0; !error && i < ACCEPTS_PER_ROUND; i++) {
        h2o_socket_t *socket = h2o_evloop_socket_accept(listener_socket);
        if (!socket) {
            if (errno == EMFILE || errno == ENFILE)
                turn_away_waiting(server, h2o_socket_get_fd(listener_socket));
            return;
        }
        http_epoll_new_fd(h2o_socket_get_fd(socket));
        take_in(listener, socket);
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
    http_connections_look(server->connections);
    server->config.on_tick(server->config.context);
    h2o_timeout_link(server->context.loop, &server->tick_timeout, &server->tick);
}

static h2o_hostconf_t *add_host(struct http_server *server, const char *name, bool metrics)
{
    h2o_hostconf_t *host = h2o_config_register_host(&server->h2o, h2o_iovec_init(name, strlen(name)), 65535);
    http_add_handler(server, h2o_config_register_path(host, "/", 0), metrics);
    return host;
}

/* Accepted connections inherit them; the kernel makes them twice as large, and no larger. */
static void bound_kernel_buffers(int fd)
{
    static const int receive = RECEIVE_BUFFER_BYTES, send = SEND_BUFFER_BYTES;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive, sizeof receive);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send, sizeof send);
}

static void add_listener(struct http_server *server, int fd, h2o_hostconf_t *host)
{
    struct http_listener *listener = &server->listeners[server->listener_count++];
    listener->server = server;
    listener->hosts[0] = host;
    listener->accept.ctx = &server->context;
    listener->accept.hosts = listener->hosts;
    bound_kernel_buffers(fd);
    listener->socket = make_socket(server, fd, H2O_SOCKET_FLAG_DONT_READ);
    listener->socket->data = listener;
}

/*
 * Asks itself what must go wrong in our parsers and would not in h2o's, over a
 * connection like any other.
 */
static void prove_guard(struct http_server *server)
{
    static const char head[] = "POST / HTTP/1.1\r\nHost: self-check\r\nTransfer-Encoding: chunked\r\n\r\n0_3\r\n";
    int ends[2];
    uint64_t heads = http_guard_heads(), chunks = http_guard_chunks();
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0)
        report_fatal(EXIT_STATUS_FAILED, "cannot check the parsers of HTTP: socketpair: %s", strerror(errno));
    server->checking = true;
    take_in(&server->listeners[0], make_socket(server, ends[0], 0));
    bool sent = write(ends[1], head, sizeof head - 1) == (ssize_t)sizeof head - 1;
    shutdown(ends[1], SHUT_WR);
    for (int i = 0; i < SELF_CHECK_ROUNDS && http_connections_count(server->connections) > 0; i++)
        (void)h2o_evloop_run(server->context.loop, 0);
    close(ends[1]);
    bool refused = !server->checking;
    server->checking = false;
    if (!sent || !refused || http_guard_heads() == heads || http_guard_chunks() == chunks)
        report_fatal(EXIT_STATUS_FAILED,
                     "this libh2o does not call talea's own parsers of HTTP heads and chunks, so it would read requests "
                     "that others read otherwise: install libh2o-evloop of Debian 12");
}

struct http_server *http_server_create(const struct http_config *config)
{
    struct http_server *server = calloc(1, sizeof *server);
    if (!server)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    server->config = *config;
    server->connections = http_connections_create(config);
    server->reserve_fd = -1;
    open_reserve(server);
    http_guard_set_body_max((uint32_t)config->limits.body_max_bytes);
    h2o_config_init(&server->h2o);
    server->h2o.http1.upgrade_to_http2 = 0;
    server->h2o.http1.req_timeout = H2O_TIMEOUT_MS;
    server->h2o.server_name = h2o_iovec_init(H2O_STRLIT("talea"));
    server->h2o.max_request_entity_size = 2 * config->limits.body_max_bytes; /* the guard is met before */
    /* Each listener hands requests to its one host, whatever their Host field says. */
    h2o_hostconf_t *api = add_host(server, "api", false);
    h2o_hostconf_t *metrics = add_host(server, "metrics", true);
    h2o_context_init(&server->context, h2o_evloop_create(), &server->h2o);
    h2o_timeout_init(server->context.loop, &server->tick_timeout, TICK_MS);
    h2o_timeout_init(server->context.loop, &server->pause_timeout, ACCEPT_PAUSE_MS);
    h2o_timeout_init(server->context.loop, &server->grace_timeout, DRAIN_GRACE_MS);
    add_listener(server, config->api_fd, api);
    if (config->metrics_fd >= 0)
        add_listener(server, config->metrics_fd, metrics);
    prove_guard(server);
    server->tick.cb = on_tick;
    h2o_timeout_link(server->context.loop, &server->tick_timeout, &server->tick);
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
    server->watched = make_socket(server, fd, H2O_SOCKET_FLAG_DONT_READ);
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

bool http_expects_requests(struct http_server *server)
{
    return !server->grace_over && http_connections_expect(server->connections);
}
