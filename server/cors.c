#include "server/cors.h"

#include <string.h>
#include <strings.h>

#define EXPOSED BYTES_LITERAL("retry-after, x-request-id")
#define REQUEST_HEADERS BYTES_LITERAL("authorization, content-type, last-event-id, x-request-id")
#define MAX_AGE_S BYTES_LITERAL("600")

static bool is_any(const char *origins)
{
    return strcmp(origins, "*") == 0;
}

/* Schemes and hosts are the same in either case; settings_check_origins has seen the list. */
static bool is_listed(const char *origins, struct bytes origin)
{
    for (const char *p = origins + strspn(origins, ", "); *p; p += strspn(p, ", ")) {
        size_t length = strcspn(p, ", ");
        if (length == origin.len && strncasecmp(p, (const char *)origin.base, length) == 0)
            return true;
        p += length;
    }
    return false;
}

/* The origin that may read the answer; base NULL: none. */
static struct bytes allowed_origin(const struct exchange *e)
{
    const char *origins = e->worker->settings->cors_origins;
    if (!origins || e->on_metrics_listener)
        return bytes_of(NULL, 0);
    struct bytes origin = http_header(e->http, "origin");
    if (origin.len == 0 || (!is_any(origins) && !is_listed(origins, origin)))
        return bytes_of(NULL, 0);
    return is_any(origins) ? BYTES_LITERAL("*") : origin;
}

size_t cors_add_headers(const struct exchange *e, struct http_header out[static CORS_HEADERS_MAX])
{
    const char *origins = e->worker->settings->cors_origins;
    struct bytes origin = allowed_origin(e);
    size_t count = 0;
    if (origin.base) {
        out[count++] = (struct http_header){"access-control-allow-origin", origin};
        out[count++] = (struct http_header){"access-control-expose-headers", EXPOSED};
    }
    /* Caches must know, also of an answer that no origin was named for. */
    if (origins && !is_any(origins) && !e->on_metrics_listener)
        out[count++] = (struct http_header){"vary", BYTES_LITERAL("Origin")};
    return count;
}

bool cors_answer_preflight(struct exchange *e)
{
    struct bytes origin = allowed_origin(e);
    if (!origin.base || !bytes_equal(http_method(e->http), BYTES_LITERAL("OPTIONS")) ||
        !http_header(e->http, "access-control-request-method").base)
        return false;
    const struct http_header headers[] = {
        {"access-control-allow-methods", bytes_of_string(routes[e->match.id].allow)},
        {"access-control-allow-headers", REQUEST_HEADERS},
        {"access-control-max-age", MAX_AGE_S},
    };
    exchange_answer_empty(e, headers, sizeof headers / sizeof *headers);
    return true;
}
