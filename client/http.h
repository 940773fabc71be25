#ifndef TALEA_CLIENT_HTTP_H
#define TALEA_CLIENT_HTTP_H
/*
 * Requests to the ledger, on libcurl. 503, 429, 408 and transport errors are
 * tried three times in all, 200 ms apart and doubling up to 5 s; Retry-After
 * is obeyed up to the same 5 s. That is safe for posts too: their idempotency
 * key makes a retry harmless.
 */
#include <stdbool.h>

#include "client/text.h"

struct server {
    const char *url;   /* without a trailing slash */
    const char *token; /* NULL: none */
    long timeout_s;
};

#define ANSWER_MAX_BYTES (64u << 20)
#define PROBLEM_MAX 512

struct answer {
    int status; /* 0: there was none */
    struct text body;
    char problem[PROBLEM_MAX]; /* when status is 0 */
};

/* `body` is JSON, or NULL for a GET. The answer is the caller's to free. */
void http_request(const struct server *server, const char *path, const struct text *body, struct answer *out);
void answer_free(struct answer *answer);

/* Prints an answer as indented JSON (to stderr when it is a refusal) and returns the exit status. */
int answer_print(const struct answer *answer);

/* Everything but unreserved characters is escaped: a segment may hold slashes, and be `..`. */
void add_segment(struct text *path, const char *segment);

/*
 * Reads a stream until it ends: `on_bytes` gets what comes (and nothing, with
 * n = 0, about once a second), and ends it by returning false. No retries. Returns the HTTP status, or 0 with `problem` filled.
 * An answer other than 200 is put into `refusal`.
 */
int http_stream(const struct server *server, const char *path, const char *last_event_id,
                bool (*on_bytes)(void *context, const char *bytes, size_t n), void *context, struct text *refusal,
                char problem[static PROBLEM_MAX]);

#endif
