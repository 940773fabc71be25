#include "client/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>

#include "client/json.h"
#include "client/status.h"

#define TRIES 3
#define FIRST_WAIT_MS 200
#define WAIT_MAX_MS 5000
#define SILENCE_MAX_S 45L /* the ledger sends a comment at least every 15 s */

static size_t take_body(char *bytes, size_t size, size_t count, void *context)
{
    struct answer *answer = context;
    size_t n = size * count;
    if (answer->body.len + n > ANSWER_MAX_BYTES)
        return 0;
    text_add(&answer->body, bytes, n);
    return n;
}

/* A handle with everything that all requests share. */
static CURL *open_handle(const struct server *server, const char *path, struct curl_slist **headers)
{
    struct text url = {0}, authorization = {0};
    CURL *curl = curl_easy_init();
    if (!curl) {
        complain("libcurl cannot be used");
        exit(STATUS_UNREACHABLE);
    }
    text_printf(&url, "%s%s", server->url, path);
    curl_easy_setopt(curl, CURLOPT_URL, url.base);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L); /* `..` is a name like others */
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "talea/" PACKAGE_VERSION);
    if (server->token) {
        text_printf(&authorization, "Authorization: Bearer %s", server->token);
        *headers = curl_slist_append(*headers, authorization.base);
        explicit_bzero(authorization.base, authorization.len);
    }
    text_free(&url);
    text_free(&authorization);
    return curl;
}

static void keep_problem(char problem[static PROBLEM_MAX], CURLcode code, const char *details, const struct server *server)
{
    snprintf(problem, PROBLEM_MAX, "cannot reach %.200s: %s", server->url,
             details[0] ? details : curl_easy_strerror(code));
}

/* One try. *retry_after_s is -1 when the answer does not say. */
static void try_once(const struct server *server, const char *path, const struct text *body, struct answer *out,
                     long *retry_after_s)
{
    char details[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = NULL;
    CURL *curl = open_handle(server, path, &headers);
    text_clear(&out->body);
    out->status = 0;
    *retry_after_s = -1;
    if (body) {
        headers = curl_slist_append(headers, "Content-Type: application/json");
        headers = curl_slist_append(headers, "Expect:");
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->len);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body->base);
    }
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, server->timeout_s);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, details);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, out);
    CURLcode code = curl_easy_perform(curl);
    if (code == CURLE_OK) {
        long status = 0;
        curl_off_t wait = 0;
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
        if (curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &wait) == CURLE_OK && wait > 0)
            *retry_after_s = (long)wait;
        out->status = (int)status;
    } else {
        keep_problem(out->problem, code, details, server);
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
}

static bool worth_another_try(int status)
{
    return status == 0 || status == 503 || status == 429 || status == 408;
}

static void wait_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

void http_request(const struct server *server, const char *path, const struct text *body, struct answer *out)
{
    long backoff_ms = FIRST_WAIT_MS;
    *out = (struct answer){0};
    for (int i = 1;; i++) {
        long retry_after_s;
        try_once(server, path, body, out, &retry_after_s);
        if (!worth_another_try(out->status) || i == TRIES)
            return;
        long ms = retry_after_s >= 0 && retry_after_s * 1000 > backoff_ms ? retry_after_s * 1000 : backoff_ms;
        wait_ms(ms < WAIT_MAX_MS ? ms : WAIT_MAX_MS);
        backoff_ms = backoff_ms * 2 < WAIT_MAX_MS ? backoff_ms * 2 : WAIT_MAX_MS;
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
    if (answer->body.len == 0 && !refused)
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

void add_segment(struct text *path, const char *segment)
{
    static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (const unsigned char *c = (const unsigned char *)segment; *c; c++) {
        if (strchr(unreserved, *c))
            text_add(path, (const char *)c, 1);
        else
            text_printf(path, "%%%02X", *c);
    }
}

/* --- streams --- */

struct streaming {
    CURL *curl;
    bool (*on_bytes)(void *context, const char *bytes, size_t n);
    void *context;
    struct text *refusal;
};

static size_t take_stream(char *bytes, size_t size, size_t count, void *context)
{
    struct streaming *s = context;
    size_t n = size * count;
    long status = 0;
    curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status == 200)
        return s->on_bytes(s->context, bytes, n) ? n : 0;
    if (s->refusal->len + n > ANSWER_MAX_BYTES)
        return 0;
    text_add(s->refusal, bytes, n);
    return n;
}

static int on_progress(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    struct streaming *s = context;
    (void)a, (void)b, (void)c, (void)d;
    return s->on_bytes(s->context, "", 0) ? 0 : 1;
}

int http_stream(const struct server *server, const char *path, const char *last_event_id,
                bool (*on_bytes)(void *context, const char *bytes, size_t n), void *context, struct text *refusal,
                char problem[static PROBLEM_MAX])
{
    char details[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = NULL;
    struct text last = {0};
    CURL *curl = open_handle(server, path, &headers);
    struct streaming s = {curl, on_bytes, context, refusal};
    text_clear(refusal);
    if (last_event_id) {
        text_printf(&last, "Last-Event-ID: %s", last_event_id);
        headers = curl_slist_append(headers, last.base);
    }
    headers = curl_slist_append(headers, "Accept: text/event-stream, application/json");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, server->timeout_s);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, SILENCE_MAX_S);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, details);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &s);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_stream);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &s);
    CURLcode code = curl_easy_perform(curl);
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_OK)
        keep_problem(problem, code, details, server);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    text_free(&last);
    return code == CURLE_OK || status != 200 ? (int)status : 0;
}
