#include "server/http_connections.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/sockios.h>

#include <utlist.h>

#include "common/exit_status.h"
#include "common/report.h"
#include "common/rfc3339.h"
#include "common/uuid7.h"

#define SECOND_NS 1000000000ull
#define PARTING_MAX_NS (2 * SECOND_NS)
#define ANSWER_MAX 512
#define PARTING_MAX_BYTES (1u << 20)
#define UNSENT_MAX_NS (2 * SECOND_NS) /* what a client that holds much of our memory may take to read anything */

struct http_connections {
    struct http_config config;
    struct http_connection *list;
    uint32_t count;
};

struct http_connections *http_connections_create(const struct http_config *config)
{
    struct http_connections *c = calloc(1, sizeof *c);
    if (!c)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    c->config = *config;
    return c;
}

/* --- one comes and goes --- */

static void on_close(void *context)
{
    struct http_connection *connection = context;
    struct http_connections *c = connection->owner;
    DL_DELETE(c->list, connection);
    c->count--;
    c->config.on_disconnected(c->config.context, connection->place);
    free(connection);
}

static bool may_come(struct http_connections *c, h2o_socket_t *socket, uint32_t *place)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    struct peer_address peer;
    if (c->count >= c->config.limits.connections_max) {
        c->config.on_limit(c->config.context, HTTP_LIMIT_CONNECTIONS);
        return false;
    }
    (void)h2o_socket_getpeername(socket, (struct sockaddr *)&address);
    peer_address_of((struct sockaddr *)&address, &peer);
    if (c->config.on_connected(c->config.context, &peer, place))
        return true;
    c->config.on_limit(c->config.context, HTTP_LIMIT_ADDRESS);
    return false;
}

bool http_connections_add(struct http_connections *c, h2o_socket_t *socket)
{
    uint32_t place;
    if (!may_come(c, socket, &place))
        return false;
    struct http_connection *connection = calloc(1, sizeof *connection);
    if (!connection)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    connection->owner = c;
    connection->socket = socket;
    connection->place = place;
    connection->since_ns = clock_monotonic_ns();
    socket->on_close.cb = on_close;
    socket->on_close.data = connection;
    DL_APPEND(c->list, connection);
    c->count++;
    return true;
}

struct http_connection *http_connection_of(h2o_req_t *req)
{
    return req->conn->callbacks->get_socket(req->conn)->on_close.data;
}

uint32_t http_connections_count(const struct http_connections *c)
{
    return c->count;
}

void http_connection_begin(struct http_connection *connection, struct http_request *request, uint64_t now_ns)
{
    connection->request = request;
    connection->progress_ns = now_ns;
}

void http_connection_end(struct http_connection *connection)
{
    connection->request = NULL;
    connection->unsent_bytes = 0;
    connection->received_since_ns = 0;
    connection->body = false;
    connection->since_ns = clock_monotonic_ns();
}

void http_connection_sends(struct http_connection *connection, uint64_t bytes)
{
    connection->answered = true;
    connection->unsent_bytes = bytes;
    connection->progress_ns = clock_monotonic_ns();
}

/* --- parting --- */

static void finish_parting(struct http_connection *connection)
{
    h2o_socket_read_stop(connection->socket);
    connection->parted(connection);
}

static void throw_away(h2o_socket_t *socket, const char *error)
{
    struct http_connection *connection = socket->on_close.data;
    connection->thrown_away_bytes += socket->input->size;
    h2o_buffer_consume(&socket->input, socket->input->size);
    if (error || connection->thrown_away_bytes > PARTING_MAX_BYTES)
        finish_parting(connection);
}

void http_connection_part(struct http_connection *connection, void (*parted)(struct http_connection *connection))
{
    connection->parting = true;
    connection->parted = parted;
    connection->since_ns = clock_monotonic_ns();
    shutdown(h2o_socket_get_fd(connection->socket), SHUT_WR);
    h2o_buffer_consume(&connection->socket->input, connection->socket->input->size);
    h2o_socket_read_start(connection->socket, throw_away);
}

/* --- limits --- */

static void met(struct http_connection *connection, enum http_limit limit)
{
    const struct http_config *config = &connection->owner->config;
    config->on_limit(config->context, limit);
}

/* h2o sees the end of the connection, and cleans up. */
static void close_quietly(struct http_connection *connection)
{
    shutdown(h2o_socket_get_fd(connection->socket), SHUT_RDWR);
}

/* The kernel need not keep for its client what was not read. */
static void break_off(struct http_connection *connection)
{
    static const struct linger at_once = {.l_onoff = 1};
    setsockopt(h2o_socket_get_fd(connection->socket), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close_quietly(connection);
}

/*
 * A request that does not come whole is answered beside h2o, which has nothing
 * to send on this connection while it reads: every answer before was written.
 */
static void time_out(struct http_connection *connection, enum http_limit limit)
{
    const struct http_config *config = &connection->owner->config;
    char id[UUID_TEXT_LEN], answer[ANSWER_MAX];
    uuid_format(uuid7_make(clock_now_us()), id);
    struct bytes body = config->on_timeout(config->context, bytes_of(id, sizeof id));
    int length = snprintf(answer, sizeof answer,
                          "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: %zu\r\n"
                          "Server: talea\r\nContent-Type: application/json\r\nx-request-id: %.*s\r\n\r\n%.*s",
                          body.len, (int)sizeof id, id, (int)body.len, (const char *)body.base);
    met(connection, limit);
    (void)send(h2o_socket_get_fd(connection->socket), answer, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL);
    close_quietly(connection);
}

/* What the client has acknowledged; a number that changes when it read something. */
static uint64_t acknowledged(h2o_socket_t *socket)
{
    struct tcp_info info;
    socklen_t length = sizeof info;
    int fd = h2o_socket_get_fd(socket), waiting = 0;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 &&
        length >= offsetof(struct tcp_info, tcpi_bytes_acked) + sizeof info.tcpi_bytes_acked)
        return info.tcpi_bytes_acked;
    (void)ioctl(fd, SIOCOUTQ, &waiting);
    return (uint64_t)waiting;
}

static void look_at_answer(struct http_connection *connection, uint64_t now)
{
    const struct http_limits *limits = &connection->owner->config.limits;
    if (!h2o_socket_is_writing(connection->socket)) {
        connection->progress_ns = now;
        return;
    }
    uint64_t seen = acknowledged(connection->socket);
    if (seen != connection->acknowledged) {
        connection->acknowledged = seen;
        connection->progress_ns = now;
    }
    uint64_t stalled_ns = now - connection->progress_ns;
    bool much = connection->unsent_bytes > limits->unsent_max_bytes;
    if (stalled_ns < limits->write_timeout_ns && !(much && stalled_ns >= UNSENT_MAX_NS))
        return;
    met(connection, stalled_ns < limits->write_timeout_ns ? HTTP_LIMIT_UNSENT : HTTP_LIMIT_WRITE_TIME);
    break_off(connection);
}

static bool has_whole_head(const h2o_buffer_t *input)
{
    return memmem(input->bytes, input->size, "\r\n\r\n", 4) != NULL;
}

static void look_at_request(struct http_connection *connection, uint64_t now)
{
    const struct http_limits *limits = &connection->owner->config.limits;
    if (connection->received_since_ns == 0)
        connection->received_since_ns = connection->since_ns = now;
    if (!connection->body && has_whole_head(connection->socket->input)) {
        connection->body = true;
        connection->since_ns = now;
    }
    if (now - connection->received_since_ns >= limits->request_timeout_ns)
        time_out(connection, HTTP_LIMIT_REQUEST_TIME);
    else if (now - connection->since_ns >= (connection->body ? limits->body_timeout_ns : limits->head_timeout_ns))
        time_out(connection, connection->body ? HTTP_LIMIT_BODY_TIME : HTTP_LIMIT_HEAD_TIME);
}

static void look_at(struct http_connection *connection, uint64_t now)
{
    if (connection->parting) {
        if (now - connection->since_ns >= PARTING_MAX_NS)
            finish_parting(connection);
    } else if (connection->request) {
        look_at_answer(connection, now);
    } else if (connection->socket->input->size > 0) {
        look_at_request(connection, now);
    } else if (now - connection->since_ns >= connection->owner->config.limits.idle_timeout_ns) {
        met(connection, HTTP_LIMIT_IDLE_TIME);
        close_quietly(connection);
    }
}

void http_connections_look(struct http_connections *c)
{
    uint64_t now = clock_monotonic_ns();
    struct http_connection *connection, *next;
    DL_FOREACH_SAFE(c->list, connection, next)
    {
        look_at(connection, now);
    }
}

bool http_connections_expect(const struct http_connections *c)
{
    const struct http_connection *connection;
    DL_FOREACH(c->list, connection)
    {
        if (!connection->answered || connection->socket->input->size > 0)
            return true;
    }
    return false;
}

void http_turn_away(int fd)
{
    static const char answer[] = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 22\r\n"
                                 "Content-Type: application/json\r\nRetry-After: 1\r\nServer: talea\r\n\r\n"
                                 "{\"error\":\"overloaded\"}";
    char request[4096];
    (void)send(fd, answer, sizeof answer - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
    /* What lies unread when a socket is closed makes the kernel take the answer back. */
    while (recv(fd, request, sizeof request, MSG_DONTWAIT) == (ssize_t)sizeof request)
        ;
}
