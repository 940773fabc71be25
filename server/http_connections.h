#ifndef TALEA_SERVER_HTTP_CONNECTIONS_H
#define TALEA_SERVER_HTTP_CONNECTIONS_H
/*
 * The connections of one worker, and what bounds each: how long its client may
 * rest, send a head or a body, and leave an answer unread. Looked at once a
 * second, so that each time is met within the second behind it; a connection
 * that is busy costs nothing more.
 *
 * Knows h2o, for http.c and http_server.c alone.
 */
#include <stdbool.h>
#include <stdint.h>

#include <h2o.h>

#include "server/http.h"
#include "server/http_limit.h"

struct http_connections;

struct http_connection {
    struct http_connections *owner;
    h2o_socket_t *socket;
    uint32_t place; /* among addresses: on_connected's */
    struct http_request *request; /* that is not wholly answered; NULL: none */
    uint64_t since_ns;            /* of the phase it is in */
    uint64_t received_since_ns;   /* first octet of the request that is coming in; 0: none is */
    bool body;                    /* its head is there */
    bool answered;                /* something, at some time */
    uint64_t unsent_bytes;        /* of the answer under way, at the most */
    uint64_t acknowledged;        /* by its client, as last seen; of no meaning but whether it grows */
    uint64_t progress_ns;         /* when that grew, or the answer began */
    bool parting;                 /* refused: its answer is written, what the client still sends is thrown away */
    uint64_t thrown_away_bytes;
    void (*parted)(struct http_connection *connection);
    struct http_connection *next, *prev;
};

struct http_connections *http_connections_create(const struct http_config *config);

/* A connection that was accepted; its on_close forgets it. False: a limit is met, the caller turns it away. */
bool http_connections_add(struct http_connections *connections, h2o_socket_t *socket);
struct http_connection *http_connection_of(h2o_req_t *req);
uint32_t http_connections_count(const struct http_connections *connections);

/* A request has come whole, and: it is no more. */
void http_connection_begin(struct http_connection *connection, struct http_request *request, uint64_t now_ns);
void http_connection_end(struct http_connection *connection);
/* So many bytes are handed to the kernel, or wait for it, from now on. */
void http_connection_sends(struct http_connection *connection, uint64_t bytes);

/*
 * The answer was written and nothing more will be read: tells the client so,
 * and throws away what it sends until it closes, or for two seconds, or a
 * megabyte. A socket that is closed while it holds unread octets resets the
 * connection, and the answer would be lost (RFC 9112, 9.6). Then calls `parted`.
 */
void http_connection_part(struct http_connection *connection, void (*parted)(struct http_connection *connection));

/* Once a second. */
void http_connections_look(struct http_connections *connections);

/* Is a request to be expected: a connection that had no answer yet, or a request that came in part? */
bool http_connections_expect(const struct http_connections *connections);

/* Answers 503 on a connection that h2o does not see; the caller closes it. */
void http_turn_away(int fd);

#endif
