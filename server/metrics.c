#include "server/metrics.h"

/*
 * Prometheus' text format, version 0.0.4. Names by its conventions: base
 * units, _total for counters, _seconds for times.
 */
#include <inttypes.h>

#include "common/buffer.h"
#include "server/worker.h"

static const int statuses[] = {200, 204, 400, 401, 403, 404, 405, 408, 409, 415, 429, 500, 503};
#define STATUS_COUNT (sizeof statuses / sizeof *statuses)
_Static_assert((int)STATUS_COUNT <= (int)STATUS_COUNT_MAX, "border.h has a counter for each status");

static const char *const methods[METHOD_COUNT] = {"GET", "HEAD", "POST", "other"};

static unsigned status_index(int status)
{
    for (unsigned i = 0; i < STATUS_COUNT; i++)
        if (statuses[i] == status)
            return i;
    return STATUS_COUNT - 2; /* 500: none is answered that is not in the table */
}

void metrics_count_request(struct worker_counters *counters, enum route_id route, enum http_method method, int status,
                           uint64_t duration_ns)
{
    counter_add(&counters->requests[route][method][status_index(status)], 1);
    latency_count(&counters->duration[route][method], duration_ns);
}

/* --- writing --- */

static void family(struct buffer *out, const char *name, const char *type, const char *help)
{
    buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void gauge(struct buffer *out, const char *name, const char *help, uint64_t value)
{
    family(out, name, "gauge", help);
    buffer_printf(out, "%s %" PRIu64 "\n", name, value);
}

static void counter(struct buffer *out, const char *name, const char *help, uint64_t value)
{
    family(out, name, "counter", help);
    buffer_printf(out, "%s %" PRIu64 "\n", name, value);
}

static void seconds(struct buffer *out, uint64_t ns)
{
    buffer_printf(out, "%" PRIu64 ".%09" PRIu64, ns / 1000000000u, ns % 1000000000u);
}

/* A bound as `le` writes it: no trailing zeros. */
static void bound_seconds(struct buffer *out, uint64_t ns)
{
    uint64_t fraction = ns % 1000000000u;
    buffer_printf(out, "%" PRIu64, ns / 1000000000u);
    if (fraction == 0)
        return;
    int digits = 9;
    for (; fraction % 10 == 0; fraction /= 10)
        digits--;
    buffer_printf(out, ".%0*" PRIu64, digits, fraction);
}

static uint64_t sum_over_workers(const struct border *border, size_t offset)
{
    uint64_t sum = 0;
    for (int n = 0; n < WORKER_MAX; n++)
        sum += counter_get((const _Atomic uint64_t *)((const char *)&border->worker[n].counters + offset));
    return sum;
}

#define SUM(border, field) sum_over_workers(border, offsetof(struct worker_counters, field))

static void write_requests(struct buffer *out, const struct border *border)
{
    family(out, "talea_http_requests_total", "counter", "Requests answered.");
    for (unsigned route = 0; route < ROUTE_COUNT; route++)
        for (unsigned method = 0; method < METHOD_COUNT; method++)
            for (unsigned status = 0; status < STATUS_COUNT; status++) {
                uint64_t count = SUM(border, requests[route][method][status]);
                if (count > 0)
                    buffer_printf(out,
                                  "talea_http_requests_total{method=\"%s\",route=\"%s\",status=\"%d\"} %" PRIu64 "\n",
                                  methods[method], routes[route].path, statuses[status], count);
            }
}

static void write_duration(struct buffer *out, const struct border *border, unsigned route, unsigned method)
{
    uint64_t counts[LATENCY_BUCKET_COUNT + 1], all = 0;
    for (unsigned b = 0; b <= LATENCY_BUCKET_COUNT; b++) {
        counts[b] = SUM(border, duration[route][method].bucket[b]);
        all += counts[b];
    }
    if (all == 0)
        return;
    static const char name[] = "talea_http_request_duration_seconds";
    uint64_t below = 0;
    for (unsigned b = 0; b < LATENCY_BUCKET_COUNT; b++) {
        below += counts[b];
        buffer_printf(out, "%s_bucket{method=\"%s\",route=\"%s\",le=\"", name, methods[method], routes[route].path);
        bound_seconds(out, latency_bucket_bound_ns(b));
        buffer_printf(out, "\"} %" PRIu64 "\n", below);
    }
    buffer_printf(out, "%s_bucket{method=\"%s\",route=\"%s\",le=\"+Inf\"} %" PRIu64 "\n", name, methods[method],
                  routes[route].path, all);
    buffer_printf(out, "%s_sum{method=\"%s\",route=\"%s\"} ", name, methods[method], routes[route].path);
    seconds(out, SUM(border, duration[route][method].sum_ns));
    buffer_printf(out, "\n%s_count{method=\"%s\",route=\"%s\"} %" PRIu64 "\n", name, methods[method],
                  routes[route].path, all);
}

static void write_durations(struct buffer *out, const struct border *border)
{
    family(out, "talea_http_request_duration_seconds", "histogram", "From a request's arrival to its answer.");
    for (unsigned route = 0; route < ROUTE_COUNT; route++)
        for (unsigned method = 0; method < METHOD_COUNT; method++)
            write_duration(out, border, route, method);
}

static void write_fast_histogram(struct buffer *out, const char *name, const char *help,
                                 const struct fast_counts *counts)
{
    uint64_t below = 0;
    family(out, name, "histogram", help);
    for (unsigned b = 0; b < FAST_BUCKET_COUNT; b++) {
        below += counter_get(&counts->bucket[b]);
        buffer_printf(out, "%s_bucket{le=\"", name);
        bound_seconds(out, fast_bucket_bound_ns(b));
        buffer_printf(out, "\"} %" PRIu64 "\n", below);
    }
    below += counter_get(&counts->bucket[FAST_BUCKET_COUNT]);
    buffer_printf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum ", name, below, name);
    seconds(out, counter_get(&counts->sum_ns));
    buffer_printf(out, "\n%s_count %" PRIu64 "\n", name, below);
}

static void write_group_sizes(struct buffer *out, const struct size_counts *counts)
{
    static const char name[] = "talea_group_commit_drafts";
    uint64_t below = 0;
    family(out, name, "histogram", "Drafts decided in one group commit.");
    for (unsigned b = 0; b < SIZE_BUCKET_COUNT; b++) {
        below += counter_get(&counts->bucket[b]);
        buffer_printf(out, "%s_bucket{le=\"%" PRIu64 "\"} %" PRIu64 "\n", name, size_bucket_bound(b), below);
    }
    below += counter_get(&counts->bucket[SIZE_BUCKET_COUNT]);
    buffer_printf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum %" PRIu64 "\n%s_count %" PRIu64 "\n", name, below,
                  name, counter_get(&counts->sum), name, below);
}

static const char *outcome_of(unsigned code)
{
    static const char *const outcomes[VERDICT_CODE_COUNT] = {
        [VERDICT_POSTED] = "posted",
        [VERDICT_DONE] = "registered",
        [VERDICT_INVALID_DRAFT] = "invalid_draft",
        [VERDICT_UNBALANCED] = "unbalanced",
        [VERDICT_INVALID_AMOUNT] = "invalid_amount",
        [VERDICT_ASSET_MISMATCH] = "asset_mismatch",
        [VERDICT_UNKNOWN_ASSET] = "unknown_asset",
        [VERDICT_UNKNOWN_ACCOUNT] = "unknown_account",
        [VERDICT_ALREADY_EXISTS] = "already_exists",
        [VERDICT_CONSTRAINT] = "constraint_violation",
        [VERDICT_OVERLOADED] = "overloaded",
        [VERDICT_UNAVAILABLE] = "unavailable",
        [VERDICT_INTERNAL] = "internal",
    };
    return outcomes[code];
}

static void write_outcomes(struct buffer *out, const struct arbiter_counters *arbiter)
{
    uint64_t replays = counter_get(&arbiter->replays);
    family(out, "talea_posts_total", "counter", "Drafts that the arbiter decided, by outcome.");
    buffer_printf(out, "talea_posts_total{outcome=\"replayed\"} %" PRIu64 "\n", replays);
    for (unsigned code = 1; code < VERDICT_CODE_COUNT; code++) {
        uint64_t count = counter_get(&arbiter->verdicts[code]);
        if (code == VERDICT_POSTED)
            count = count > replays ? count - replays : 0;
        buffer_printf(out, "talea_posts_total{outcome=\"%s\"} %" PRIu64 "\n", outcome_of(code), count);
    }
}

static void write_worker_gauges(struct buffer *out, const struct border *border)
{
    family(out, "talea_ring_waiting_bytes", "gauge", "Bytes in a worker's submission ring.");
    for (int n = 0; n < WORKER_MAX; n++)
        if (atomic_load(&border->worker[n].generation))
            buffer_printf(out, "talea_ring_waiting_bytes{worker=\"%d\"} %" PRIu64 "\n", n,
                          ring_waiting_bytes(&border->worker[n].submissions));
    static const struct {
        const char *name, *help;
        size_t offset;
    } gauges[] = {
        {"talea_requests_in_flight", "Requests that are not answered yet.", offsetof(struct worker_slot, in_flight)},
        {"talea_http_connections", "Open connections.", offsetof(struct worker_slot, connections)},
        {"talea_event_streams", "Open event streams.", offsetof(struct worker_slot, event_streams)},
    };
    for (size_t i = 0; i < sizeof gauges / sizeof *gauges; i++) {
        family(out, gauges[i].name, "gauge", gauges[i].help);
        for (int n = 0; n < WORKER_MAX; n++)
            if (atomic_load(&border->worker[n].generation))
                buffer_printf(out, "%s{worker=\"%d\"} %" PRIu32 "\n", gauges[i].name, n,
                              atomic_load((const _Atomic uint32_t *)((const char *)&border->worker[n] +
                                                                     gauges[i].offset)));
    }
}

static void write_ledger(struct buffer *out, const struct border *border)
{
    const struct arbiter_counters *arbiter = &border->arbiter;
    gauge(out, "talea_write_queue_depth", "Drafts waiting over all books.", counter_get(&arbiter->queue_depth));
    gauge(out, "talea_write_active_books", "Books with drafts waiting.", counter_get(&arbiter->active_books));
    family(out, "talea_db_pool_connections", "gauge", "Always 0: there is no pool.");
    buffer_append_string(out, "talea_db_pool_connections{state=\"size\"} 0\ntalea_db_pool_connections{state=\"idle\"} 0\n");
    gauge(out, "talea_log_bytes", "Size of the log.", counter_get(&arbiter->log_bytes));
    gauge(out, "talea_log_position", "End of the last durable batch.", atomic_load(&border->durable_position));
    gauge(out, "talea_events", "Events in the ledger.", counter_get(&arbiter->events));
    family(out, "talea_idempotency_keys", "gauge", "Idempotency keys held in memory, and on disk.");
    buffer_printf(out, "talea_idempotency_keys{where=\"memory\"} %" PRIu64 "\n",
                  counter_get(&arbiter->idempotency_hot_keys));
    buffer_printf(out, "talea_idempotency_keys{where=\"disk\"} %" PRIu64 "\n",
                  counter_get(&arbiter->idempotency_spilled_keys));
    counter(out, "talea_snapshots_total", "Snapshots made.", counter_get(&arbiter->snapshots));
    gauge(out, "talea_arbiter_up", "1 while the arbiter takes posts.",
          atomic_load(&border->arbiter_state) == ARBITER_READY);
    counter(out, "talea_arbiter_restarts_total", "Arbiters that died and were replaced.",
            counter_get(&arbiter->restarts));
}

void handle_get_metrics(struct exchange *e)
{
    const struct border *border = e->worker->border;
    struct buffer *out = &e->worker->answer;
    buffer_clear(out);
    family(out, "talea_build_info", "gauge", "1; the label says which talea this is.");
    buffer_append_string(out, "talea_build_info{version=\"" PACKAGE_VERSION "\"} 1\n");
    family(out, "talea_start_time_seconds", "gauge", "When the master started, since the epoch.");
    buffer_printf(out, "talea_start_time_seconds %" PRIu64 ".%06" PRIu64 "\n", border->started_at_us / 1000000,
                  border->started_at_us % 1000000);
    write_requests(out, border);
    write_durations(out, border);
    counter(out, "talea_http_shed_total", "Requests answered 503 over TALEA_MAX_INFLIGHT.", SUM(border, shed));
    counter(out, "talea_http_timeouts_total", "Requests answered 408.", SUM(border, timeouts));
    counter(out, "talea_events_sent_total", "Events sent over event streams.", SUM(border, events_sent));
    write_worker_gauges(out, border);
    write_outcomes(out, &border->arbiter);
    write_group_sizes(out, &border->arbiter.group_size);
    write_fast_histogram(out, "talea_group_commit_duration_seconds", "From the first draft taken to the answers.",
                         &border->arbiter.group_duration);
    write_fast_histogram(out, "talea_fdatasync_duration_seconds", "One fdatasync of the log.",
                         &border->arbiter.fdatasync_duration);
    write_ledger(out, border);
    exchange_answer_text(e, "text/plain; version=0.0.4; charset=utf-8", NULL, 0, buffer_bytes(out));
}
