#ifndef TALEA_SERVER_REQUEST_LOG_H
#define TALEA_SERVER_REQUEST_LOG_H
/*
 * What the operator's log says of requests, for workers. A line has fields:
 * request_id, method, route (the template of the path), book, drafts (of a
 * batch), token (its name), status, duration_ms, bytes; each where it is known.
 * Never the path itself, a query, a header or a body.
 *
 * Each request has one line at most: a warning when it took longer than
 * TALEA_SLOW_REQUEST_MS, else, when TALEA_ACCESS_LOG says so, one for information.
 */
#include "server/worker.h"

/* `bytes`: of the answer's body. */
void request_log_answered(const struct exchange *exchange, int status, uint64_t duration_ns, uint64_t bytes);
/* Streams are long, not slow. */
void request_log_stream_ended(const struct exchange *exchange, uint64_t bytes);
/* It was no good HTTP, or too large. */
void request_log_refused(const struct exchange *exchange, int status, const char *reason, uint64_t duration_ns);
/* It did not come whole in time. */
void request_log_cut_off(const struct worker *worker, struct bytes request_id);

/* An error that a request met; its answer may follow. */
void request_log_error(const struct exchange *exchange, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
