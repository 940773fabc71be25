#ifndef TALEA_SERVER_ROUTES_H
#define TALEA_SERVER_ROUTES_H
/*
 * Every route once: method, path, whether a token is needed, handler. A
 * target is split at its slashes first and each segment is percent-decoded
 * after, once, so a name may hold anything; `..` is a name like others.
 */
#include <stdbool.h>

#include "common/arena.h"
#include "common/bytes.h"

struct exchange; /* one request and its answer: worker.h */

enum route_id {
    ROUTE_ASSETS,
    ROUTE_ACCOUNTS,
    ROUTE_TRANSACTIONS,
    ROUTE_BATCH,
    ROUTE_TRANSACTION,
    ROUTE_BALANCE,
    ROUTE_HISTORY,
    ROUTE_TRIAL_BALANCE,
    ROUTE_EVENTS,
    ROUTE_HEALTH,
    ROUTE_OPENAPI,
    ROUTE_DOCS,
    ROUTE_DOCS_FILE,
    ROUTE_METRICS, /* on the metrics listener alone */
    ROUTE_NONE,
};
#define ROUTE_COUNT (ROUTE_NONE + 1)

enum http_method { METHOD_GET, METHOD_HEAD, METHOD_POST, METHOD_OTHER };

struct route {
    const char *path; /* template, also the label of the metrics */
    const char *allow;
    bool needs_token;
    bool on_metrics_listener;
    void (*handle)(struct exchange *exchange);
};

extern const struct route routes[ROUTE_COUNT];

/* What stood for {book}, {path}, {tx_id} and {file}; base NULL where the template has none. */
struct route_match {
    enum route_id id;
    struct bytes book, path, tx_id, file;
    bool not_utf8; /* a segment does not decode to UTF-8 */
    struct bytes query; /* behind the `?`; base NULL: there is none */
};

/* Decoded segments live in the arena. match->id is ROUTE_NONE for an unknown path. */
void routes_match(struct bytes target, bool on_metrics_listener, struct arena *arena, struct route_match *match);

bool route_takes(enum route_id id, enum http_method method);
enum http_method http_method_of(struct bytes word);

/* `%` with two hex digits becomes its byte; any other `%` stands for itself. */
struct bytes percent_decode(struct bytes text, bool plus_is_space, struct arena *arena);

#endif
