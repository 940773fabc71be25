/*
 * One libcurl handle per try: a try after a transport error must not reuse its
 * connection. Bodies are bounded, and no error line holds the token or what
 * stands before the @ of a URL.
 */
#include "client/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <curl/curl.h>

#include "client/backoff.h"
#include "client/json_text.h"
#include "client/status.h"

#define TRIES 3
#define SILENCE_MAX_S 45

/* --- one exchange --- */

struct exchange {
    CURL *curl;
    struct curl_slist *headers;
    char details[CURL_ERROR_SIZE];
    struct answer *answer;
    const struct stream_sink *sink; /* of a stream */
    time_t heard_s;                 /* of a stream: when bytes came last */
    bool fell_silent;
};

static time_t monotonic_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static void add_header(struct exchange *x, const char *header)
{
    struct curl_slist *longer = curl_slist_append(x->headers, header);
    if (!longer)
        out_of_memory();
    x->headers = longer;
}

static void add_header_with(struct exchange *x, const char *begin, const char *value)
{
    struct text header = {0};
    text_printf(&header, "%s%s", begin, value);
    add_header(x, header.base);
    text_free(&header);
}

static size_t take_body(char *bytes, size_t size, size_t count, void *context)
{
    struct exchange *x = context;
    size_t n = size * count;
    if (x->answer->body.len + n > ANSWER_MAX_BYTES)
        return 0;
    text_add(&x->answer->body, bytes, n);
    return n;
}

static void begin(struct exchange *x, const struct server *server, const char *path, struct answer *answer)
{
    struct text url = {0};
    text_clear(&answer->body);
    *answer = (struct answer){.body = answer->body};
    *x = (struct exchange){.curl = curl_easy_init(), .answer = answer};
    if (!x->curl)
        out_of_memory();
    text_printf(&url, "%s%s", server->url, path);
    curl_easy_setopt(x->curl, CURLOPT_URL, url.base);
    curl_easy_setopt(x->curl, CURLOPT_PATH_AS_IS, 1L); /* `..` is a name like others */
    curl_easy_setopt(x->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(x->curl, CURLOPT_USERAGENT, "talea/" PACKAGE_VERSION);
    curl_easy_setopt(x->curl, CURLOPT_ERRORBUFFER, x->details);
    curl_easy_setopt(x->curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(x->curl, CURLOPT_WRITEDATA, x);
    if (server->token)
        add_header_with(x, "Authorization: Bearer ", server->token);
    text_free(&url);
}

/* Without a user and a password, if the URL has some. */
static void describe_problem(const struct exchange *x, const struct server *server, CURLcode code)
{
    const char *host = strstr(server->url, "://");
    host = host ? host + 3 : server->url;
    const char *at = memrchr(host, '@', strcspn(host, "/"));
    const char *details = x->details[0] ? x->details : curl_easy_strerror(code);
    snprintf(x->answer->problem, PROBLEM_MAX, "cannot reach %.200s: %s", at ? at + 1 : host,
             x->fell_silent ? "nothing came for too long" : details);
    x->answer->is_hopeless = code == CURLE_URL_MALFORMAT;
}

static bool has_event_stream(CURL *curl)
{
    static const char wanted[] = "text/event-stream";
    const char *type = NULL;
    curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
    return type && strncasecmp(type, wanted, sizeof wanted - 1) == 0;
}

/* Fills the answer and frees what begin() made. Returns the seconds of Retry-After, or 0; 5 are the most. */
static long finish(struct exchange *x, const struct server *server)
{
    long status = 0;
    curl_off_t retry_after_s = 0;
    curl_easy_setopt(x->curl, CURLOPT_HTTPHEADER, x->headers);
    CURLcode code = curl_easy_perform(x->curl);
    curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(x->curl, CURLINFO_RETRY_AFTER, &retry_after_s);
    x->answer->is_event_stream = has_event_stream(x->curl);
    if (code == CURLE_OK) {
        x->answer->status = (int)status;
    } else if (code == CURLE_WRITE_ERROR && !x->sink) {
        snprintf(x->answer->problem, PROBLEM_MAX, "the answer is over %u MiB", ANSWER_MAX_BYTES >> 20);
        x->answer->is_hopeless = true;
    } else {
        describe_problem(x, server, code);
    }
    curl_slist_free_all(x->headers);
    curl_easy_cleanup(x->curl);
    return retry_after_s < BACKOFF_MAX_MS / 1000 ? (long)retry_after_s : BACKOFF_MAX_MS / 1000;
}

/* --- requests --- */

static long try_once(const struct server *server, const char *path, const struct text *body,
                     struct answer *out)
{
    struct exchange x;
    begin(&x, server, path, out);
    curl_easy_setopt(x.curl, CURLOPT_TIMEOUT, server->timeout_s);
    if (body) {
        add_header(&x, "Content-Type: application/json");
        add_header(&x, "Expect:"); /* no waiting for a 100 Continue */
        curl_easy_setopt(x.curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->len);
        curl_easy_setopt(x.curl, CURLOPT_POSTFIELDS, body->base);
    }
    return finish(&x, server);
}

static bool is_worth_another_try(const struct answer *answer)
{
    int status = answer->status;
    return !answer->is_hopeless && (status == 0 || status == 503 || status == 429 || status == 408);
}

void http_request(const struct server *server, const char *path, const struct text *body, struct answer *out)
{
    struct backoff backoff = {0};
    *out = (struct answer){0};
    for (int i = 1;; i++) {
        long retry_after_ms = try_once(server, path, body, out) * 1000;
        if (!is_worth_another_try(out) || i == TRIES)
            return;
        backoff_wait(&backoff, retry_after_ms);
    }
}

void answer_free(struct answer *answer)
{
    text_free(&answer->body);
}

int answer_print(const struct answer *answer)
{
    struct text indented = {0};
    bool refused = answer->status < 200 || answer->status > 299;
    if (answer->status == 0) {
        complain("%s", answer->problem);
        return STATUS_UNREACHABLE;
    }
    if (answer->status == 204)
        return STATUS_DONE;
    if (answer->body.len == 0 || !json_indent(&indented, answer->body.base, answer->body.len)) {
        complain("the answer (HTTP %d) is not the ledger's: no JSON; is the URL right?", answer->status);
        text_free(&indented);
        return STATUS_UNREACHABLE;
    }
    fwrite(indented.base, 1, indented.len, refused ? stderr : stdout);
    text_free(&indented);
    return refused ? STATUS_REFUSED : STATUS_DONE;
}

/* --- streams --- */

static size_t take_stream(char *bytes, size_t size, size_t count, void *context)
{
    struct exchange *x = context;
    size_t n = size * count;
    long status = 0;
    x->heard_s = monotonic_s();
    curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200 || !has_event_stream(x->curl))
        return take_body(bytes, size, count, context);
    return x->sink->on_bytes(x->sink->context, bytes, n) ? n : 0;
}

/*
 * Not CURLOPT_LOW_SPEED_TIME: it takes the mean of some seconds, in whole bytes
 * a second, and a comment of three bytes is then as good as silence.
 */
static int watch(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    struct exchange *x = context;
    (void)a, (void)b, (void)c, (void)d;
    if (!x->sink->goes_on(x->sink->context))
        return 1;
    x->fell_silent = monotonic_s() - x->heard_s >= SILENCE_MAX_S;
    return x->fell_silent;
}

void http_stream(const struct server *server, const char *path, const char *last_event_id,
                 const struct stream_sink *sink, struct answer *out)
{
    struct exchange x;
    begin(&x, server, path, out);
    x.sink = sink;
    x.heard_s = monotonic_s();
    if (last_event_id)
        add_header_with(&x, "Last-Event-ID: ", last_event_id);
    add_header(&x, "Accept: text/event-stream, application/json");
    curl_easy_setopt(x.curl, CURLOPT_CONNECTTIMEOUT, server->timeout_s);
    curl_easy_setopt(x.curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(x.curl, CURLOPT_XFERINFOFUNCTION, watch);
    curl_easy_setopt(x.curl, CURLOPT_XFERINFODATA, &x);
    curl_easy_setopt(x.curl, CURLOPT_WRITEFUNCTION, take_stream);
    finish(&x, server);
}
