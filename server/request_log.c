#include "server/request_log.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/report.h"
#include "common/rfc3339.h"

#define ERROR_TEXT_MAX 1024

/* The fields of a line, in the order in which they are written. */
struct line {
    struct report_field fields[REPORT_FIELDS_MAX];
    size_t count;
};

static void add(struct line *line, struct report_field field)
{
    line->fields[line->count++] = field;
}

static void add_request(struct line *line, const struct exchange *e)
{
    const char *token = e->scope ? scope_name(e->scope) : NULL;
    add(line, report_text("request_id", http_request_id(e->http)));
    add(line, report_text("method", http_method(e->http)));
    add(line, report_text("route", bytes_of_string(routes[e->match.id].path)));
    add(line, report_text("book", e->book));
    if (e->draft_count)
        add(line, report_count("drafts", e->draft_count));
    if (token)
        add(line, report_text("token", bytes_of_string(token)));
}

static bool is_slow(const struct settings *settings, uint64_t duration_ns)
{
    return settings->slow_request_ms && duration_ns > settings->slow_request_ms * 1000000;
}

void request_log_answered(const struct exchange *e, int status, uint64_t duration_ns, uint64_t bytes)
{
    bool slow = is_slow(e->worker->settings, duration_ns);
    if (!slow && !e->worker->settings->access_log)
        return;
    struct line line = {.count = 0};
    add_request(&line, e);
    add(&line, report_count("status", (uint64_t)status));
    add(&line, report_ms("duration_ms", duration_ns));
    add(&line, report_count("bytes", bytes));
    report_fields(slow ? REPORT_WARNING : REPORT_INFO, line.fields, line.count, slow ? "slow request" : "request");
}

void request_log_stream_ended(const struct exchange *e, uint64_t bytes)
{
    if (!e->worker->settings->access_log)
        return;
    struct line line = {.count = 0};
    add_request(&line, e);
    add(&line, report_count("status", 200));
    add(&line, report_ms("duration_ms", clock_monotonic_ns() - http_begun_ns(e->http)));
    add(&line, report_count("bytes", bytes));
    report_fields(REPORT_INFO, line.fields, line.count, "event stream ended");
}

void request_log_refused(const struct exchange *e, int status, const char *reason, uint64_t duration_ns)
{
    if (!e->worker->settings->access_log)
        return;
    struct route_match match = {.id = ROUTE_NONE};
    struct line line = {.count = 0};
    if (http_target(e->http).len > 0)
        routes_match(http_target(e->http), false, http_arena(e->http), &match);
    add(&line, report_text("request_id", http_request_id(e->http)));
    add(&line, report_text("method", http_method(e->http)));
    add(&line, report_text("route", bytes_of_string(routes[match.id].path)));
    add(&line, report_text("book", match.book));
    add(&line, report_count("status", (uint64_t)status));
    add(&line, report_ms("duration_ms", duration_ns));
    report_fields(REPORT_INFO, line.fields, line.count, "request refused: %s", reason);
}

void request_log_cut_off(const struct worker *w, struct bytes request_id)
{
    if (!w->settings->access_log)
        return;
    struct line line = {.count = 0};
    add(&line, report_text("request_id", request_id));
    add(&line, report_count("status", 408));
    report_fields(REPORT_INFO, line.fields, line.count, "request cut off: it did not come whole in time");
}

void request_log_error(const struct exchange *e, const char *format, ...)
{
    char text[ERROR_TEXT_MAX];
    struct line line = {.count = 0};
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    add_request(&line, e);
    report_fields(REPORT_ERROR, line.fields, line.count, "%s", text);
}
