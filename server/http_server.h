#ifndef TALEA_SERVER_HTTP_SERVER_H
#define TALEA_SERVER_HTTP_SERVER_H
/* What http.c (requests and answers) and http_server.c (listeners and the loop) share. Knows h2o. */
#include <h2o.h>

#include "server/http.h"
#include "server/http_connections.h"

#define SPARE_ARENAS_MAX 256

struct http_listener {
    struct http_server *server;
    h2o_socket_t *socket;
    h2o_accept_ctx_t accept;
    h2o_hostconf_t *hosts[2];
};

struct http_server {
    struct http_config config;
    struct http_connections *connections;
    h2o_globalconf_t h2o;
    h2o_context_t context;
    struct http_listener listeners[2];
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
    int reserve_fd; /* given up for a moment when no other is left; -1: given up */
    bool checking;  /* http_server_create asks itself */
    struct arena *spare_arenas[SPARE_ARENAS_MAX];
    int spare_arena_count;
};

/* The handler of h2o's that brings a listener's requests here. */
void http_add_handler(struct http_server *server, h2o_pathconf_t *path, bool metrics);

#endif
