#include "server/routes.h"

#include <string.h>

#include <unistr.h>

#include "common/border.h"
#include "server/document_routes.h"
#include "server/event_stream.h"
#include "server/http_head.h"
#include "server/metrics.h"
#include "server/post_routes.h"
#include "server/read_routes.h"

_Static_assert((int)ROUTE_COUNT <= (int)ROUTE_COUNT_MAX, "border.h has a counter for each route");

#define READS "GET, HEAD"
#define POSTS "POST"

const struct route routes[ROUTE_COUNT] = {
    [ROUTE_ASSETS] = {"/v1/assets", POSTS, true, false, handle_post_asset},
    [ROUTE_ACCOUNTS] = {"/v1/accounts", POSTS, true, false, handle_post_account},
    [ROUTE_TRANSACTIONS] = {"/v1/transactions", POSTS, true, false, handle_post_transaction},
    [ROUTE_BATCH] = {"/v1/transactions/batch", POSTS, true, false, handle_post_batch},
    [ROUTE_TRANSACTION] = {"/v1/transactions/{tx_id}", READS, true, false, handle_get_transaction},
    [ROUTE_BALANCE] = {"/v1/books/{book}/accounts/{path}/balance", READS, true, false, handle_get_balance},
    [ROUTE_HISTORY] = {"/v1/books/{book}/accounts/{path}/history", READS, true, false, handle_get_history},
    [ROUTE_TRIAL_BALANCE] = {"/v1/books/{book}/trial-balance", READS, true, false, handle_get_trial_balance},
    [ROUTE_EVENTS] = {"/v1/books/{book}/events", READS, true, false, handle_get_events},
    [ROUTE_HEALTH] = {"/health", READS, false, false, handle_get_health},
    [ROUTE_OPENAPI] = {"/openapi.json", READS, false, false, handle_get_openapi},
    [ROUTE_DOCS] = {"/docs", READS, false, false, handle_get_docs},
    [ROUTE_DOCS_FILE] = {"/docs/{file}", READS, false, false, handle_get_docs_file},
    [ROUTE_METRICS] = {"/metrics", READS, false, true, handle_get_metrics},
    [ROUTE_NONE] = {"other", "", false, false, NULL},
};

/* --- decoding --- */

struct bytes percent_decode(struct bytes text, bool plus_is_space, struct arena *arena)
{
    bool plain = !memchr(text.base, '%', text.len) && !(plus_is_space && memchr(text.base, '+', text.len));
    if (plain)
        return text;
    uint8_t *out = arena_alloc(arena, text.len);
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        int high = -1, low = -1;
        if (text.base[i] == '%' && i + 2 < text.len) {
            high = http_hex_digit(text.base[i + 1]);
            low = http_hex_digit(text.base[i + 2]);
        }
        if (high >= 0 && low >= 0) {
            out[n++] = (uint8_t)(high << 4 | low);
            i += 2;
        } else {
            out[n++] = plus_is_space && text.base[i] == '+' ? ' ' : text.base[i];
        }
    }
    return bytes_of(out, n);
}

/* --- matching --- */

/* Cuts the first segment off `rest`, which begins with a slash. */
static struct bytes next_segment(struct bytes *rest)
{
    const uint8_t *begin = rest->base + 1, *end = rest->base + rest->len;
    const uint8_t *slash = memchr(begin, '/', (size_t)(end - begin));
    const uint8_t *stop = slash ? slash : end;
    *rest = bytes_of(stop, (size_t)(end - stop));
    return bytes_of(begin, (size_t)(stop - begin));
}

static struct bytes *parameter_of(struct route_match *match, struct bytes name)
{
    if (bytes_equal(name, BYTES_LITERAL("{book}")))
        return &match->book;
    if (bytes_equal(name, BYTES_LITERAL("{path}")))
        return &match->path;
    if (bytes_equal(name, BYTES_LITERAL("{tx_id}")))
        return &match->tx_id;
    if (bytes_equal(name, BYTES_LITERAL("{file}")))
        return &match->file;
    return NULL;
}

/* Fits the path to one template; parameters are still encoded. */
static bool fits(const char *template, struct bytes path, struct route_match *match)
{
    struct bytes left = bytes_of_string(template);
    while (left.len > 0 && path.len > 0) {
        struct bytes want = next_segment(&left), have = next_segment(&path);
        struct bytes *parameter = parameter_of(match, want);
        if ((parameter == &match->tx_id || parameter == &match->file) && have.len == 0)
            return false; /* a trailing slash */
        if (parameter)
            *parameter = have;
        else if (!bytes_equal(want, have))
            return false;
    }
    return left.len == 0 && path.len == 0;
}

static void decode_parameter(struct bytes *parameter, struct arena *arena, bool *not_utf8)
{
    if (!parameter->base)
        return;
    *parameter = percent_decode(*parameter, false, arena);
    if (parameter->len && u8_check(parameter->base, parameter->len))
        *not_utf8 = true;
}

static unsigned slashes_in(struct bytes text)
{
    unsigned count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += text.base[i] == '/';
    return count;
}

/* Only a template with as many segments as the path has can fit it: most need not be looked at. */
static unsigned slashes_of(enum route_id id)
{
    static unsigned slashes[ROUTE_COUNT]; /* 0: not counted yet */
    if (slashes[id] == 0)
        slashes[id] = slashes_in(bytes_of_string(routes[id].path));
    return slashes[id];
}

void routes_match(struct bytes target, bool on_metrics_listener, struct arena *arena, struct route_match *match)
{
    const uint8_t *mark = memchr(target.base, '?', target.len);
    struct bytes path = mark ? bytes_of(target.base, (size_t)(mark - target.base)) : target;
    struct bytes query = mark ? bytes_of(mark + 1, target.len - path.len - 1) : bytes_of(NULL, 0);
    unsigned slashes = slashes_in(path);
    *match = (struct route_match){.id = ROUTE_NONE};
    for (int id = 0; id < ROUTE_NONE && path.len > 0 && path.base[0] == '/'; id++) {
        if (slashes_of((enum route_id)id) != slashes || routes[id].on_metrics_listener != on_metrics_listener)
            continue;
        struct route_match candidate = {.id = (enum route_id)id};
        if (fits(routes[id].path, path, &candidate)) {
            *match = candidate;
            break;
        }
    }
    match->query = query;
    decode_parameter(&match->book, arena, &match->not_utf8);
    decode_parameter(&match->path, arena, &match->not_utf8);
    decode_parameter(&match->tx_id, arena, &match->not_utf8);
    decode_parameter(&match->file, arena, &match->not_utf8);
}

bool route_takes(enum route_id id, enum http_method method)
{
    bool reads = strcmp(routes[id].allow, READS) == 0;
    return reads ? method == METHOD_GET || method == METHOD_HEAD : method == METHOD_POST;
}

enum http_method http_method_of(struct bytes word)
{
    if (bytes_equal(word, BYTES_LITERAL("GET")))
        return METHOD_GET;
    if (bytes_equal(word, BYTES_LITERAL("HEAD")))
        return METHOD_HEAD;
    return bytes_equal(word, BYTES_LITERAL("POST")) ? METHOD_POST : METHOD_OTHER;
}
