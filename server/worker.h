#ifndef TALEA_SERVER_WORKER_H
#define TALEA_SERVER_WORKER_H
/*
 * One HTTP worker: an event loop that terminates HTTP, checks tokens, decodes
 * drafts, hands them to the arbiter over its ring, and answers reads by itself
 * from the index and the log.
 */
#include "common/border.h"
#include "common/event.h"
#include "common/index_reader.h"
#include "common/log_reader.h"
#include "common/settings.h"
#include "server/http.h"
#include "server/json_text.h"
#include "server/routes.h"
#include "server/tokens.h"

struct documents;
struct submissions;
struct event_streams;

struct worker {
    struct border *border;
    struct worker_slot *slot;
    uint32_t number;
    uint32_t generation;
    const struct settings *settings;
    const struct tokens *tokens;
    struct http_server *http;
    struct index_reader *index;
    struct log_reader *log;
    struct submissions *submissions;
    struct event_streams *event_streams;
    struct documents *documents;
    struct json_text *json;
    struct buffer answer;  /* the JSON of the answer being written */
    struct buffer scratch; /* bytes of an event being read */
    bool fenced; /* write_fence.h */
    bool draining;
    uint64_t draining_since_ns;
};

/* One request, from its arrival to its answer. Lives in the request's arena. */
struct exchange {
    struct worker *worker;
    struct http_request *http;
    struct route_match match;
    enum http_method method;
    const struct scope *scope; /* NULL where the route needs no token */
    bool on_metrics_listener;
    unsigned retry_after_s;    /* of an answer 429 or 503; 0: the usual second */
    bool in_flight;            /* counted in the slot */
    struct bytes book;         /* of the path or the draft, for the log; base NULL: none */
    uint32_t draft_count;      /* of a batch, for the log */
};

/*
 * The worker process, in a fresh fork of the master. `metrics_fd` is -1
 * without a metrics listener. Never returns.
 */
void worker_run(struct border *border, uint32_t number, uint32_t generation, const struct settings *settings,
                const struct tokens *tokens, int api_fd, int metrics_fd) __attribute__((noreturn));

/* 0 or errno. Every look at the index begins with it and ends with index_reader_end. */
int worker_begin_reading(struct worker *worker) __attribute__((warn_unused_result));
/*
 * While reading: one event of a book, from the log; its slices lie in
 * worker->scratch. 0, ENOENT when the index has none, or what log_reader_event
 * and event_unpack say.
 */
int worker_read_event(struct worker *worker, uint32_t book_no, uint64_t seq, struct event *event)
    __attribute__((warn_unused_result));

/* Begins the answer's JSON; what is written to worker->json then is the body of exchange_answer. */
struct json_text *exchange_json(struct exchange *exchange);
/* Sends worker->answer with this status, as JSON, with the headers that the status asks for. */
void exchange_answer(struct exchange *exchange, int status);
/* 204 with these headers. */
void exchange_answer_empty(struct exchange *e, const struct http_header *headers, size_t header_count);
/* Sends a body of another kind, with up to ANSWER_HEADERS_MAX headers. */
#define ANSWER_HEADERS_MAX 8
void exchange_answer_text(struct exchange *exchange, const char *content_type, const struct http_header *headers,
                          size_t header_count, struct bytes body);
/* Counts a request whose answer goes another way (a stream); its log line is its own affair. */
void exchange_count(struct exchange *exchange, int status);
void exchange_leave_flight(struct exchange *exchange);

void worker_met_limit(struct worker *worker, enum http_limit limit);

/* Names in the path are not empty, and the token's scope holds the book. False: answered. */
bool exchange_check_names(struct exchange *exchange);
/* Begins to read the index for this exchange; on failure it has answered 500 and returns false. */
bool exchange_read_index(struct exchange *exchange);
/* Answers 500 for an index or log that cannot be read, and reports it. Ends reading. */
void exchange_read_failed(struct exchange *exchange, int error);

#endif
