#ifndef TALEA_CLIENT_HTTP_H
#define TALEA_CLIENT_HTTP_H
/*
 * Requests to the ledger, on libcurl. 503, 429, 408 and transport errors are
 * tried three times in all, 200 ms apart and doubling up to 5 s; Retry-After
 * is obeyed up to the same 5 s. That is safe for posts too: their idempotency
 * key makes a retry harmless. Redirects are not followed: a ledger sends none.
 */
#include <stdbool.h>
#include <stddef.h>

#include "client/text.h"

struct server {
    const char *url;   /* without a trailing slash */
    const char *token; /* NULL: none */
    long timeout_s;    /* of one try */
};

#define ANSWER_MAX_BYTES (64u << 20)
#define PROBLEM_MAX 512

struct answer {
    int status;       /* 0: there was none, or it broke off */
    bool is_hopeless; /* another try would end in the same way */
    bool is_event_stream;
    struct text body;
    char problem[PROBLEM_MAX]; /* one line, when status is 0 */
};

/* `body` is JSON, or NULL for a GET. The answer is the caller's to free. */
void http_request(const struct server *server, const char *path, const struct text *body, struct answer *out);
void answer_free(struct answer *answer);

/* Prints an answer as indented JSON (to stderr when it is a refusal) and returns the exit status. */
int answer_print(const struct answer *answer);

/* Who reads a stream. Both are called with the context and end the stream by returning false. */
struct stream_sink {
    bool (*on_bytes)(void *context, const char *bytes, size_t n);
    bool (*goes_on)(void *context); /* asked at least once a second, and when a signal came */
    void *context;
};

/*
 * Reads an event stream until it ends, breaks or is silent for 45 s (the
 * ledger sends a comment every 15 s). No retries. Only an event stream's bytes
 * go to the sink; another answer's are in out->body, as http_request has them.
 */
void http_stream(const struct server *server, const char *path, const char *last_event_id,
                 const struct stream_sink *sink, struct answer *out);

#endif
