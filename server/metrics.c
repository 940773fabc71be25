#include "server/metrics.h"

/*
 * Names by Prometheus' conventions: base units, _total for counters, _seconds
 * for times. Every family is explained in talea-metrics(7); a test holds the
 * page against what is written here.
 *
 * Counters lie in the workers' slots, where they outlive the worker; a slot
 * that no worker has ever used is not looked at.
 */
#include <inttypes.h>
#include <stdio.h>

#include "common/buffer.h"
#include "server/metrics_text.h"
#include "server/process_metrics.h"
#include "server/worker.h"

static const int statuses[] = {200, 204, 400, 401, 403, 404, 405, 408, 409, 415,
                               417, 429, 431, 500, 501, 503, 505};
#define STATUS_COUNT (sizeof statuses / sizeof *statuses)
_Static_assert((int)STATUS_COUNT <= (int)STATUS_COUNT_MAX, "border.h has a counter for each status");
_Static_assert((int)HTTP_LIMIT_COUNT <= (int)LIMIT_COUNT_MAX, "border.h has a counter for each limit");

static const char *const methods[METHOD_COUNT] = {"GET", "HEAD", "POST", "other"};

static unsigned status_index(int status)
{
    for (unsigned i = 0; i < STATUS_COUNT; i++)
        if (statuses[i] == status)
            return i;
    return status_index(500); /* none is answered that is not in the table */
}

void metrics_count_request(struct worker_counters *counters, enum route_id route, enum http_method method, int status,
                           uint64_t duration_ns)
{
    counter_add(&counters->requests[route][method][status_index(status)], 1);
    latency_count(&counters->duration[route][method], duration_ns);
}

/* --- writing --- */

static bool is_used(const struct worker_slot *slot)
{
    return atomic_load(&slot->generation) != 0;
}

static uint64_t sum_over_workers(const struct border *border, size_t offset)
{
    uint64_t sum = 0;
    for (int n = 0; n < WORKER_MAX; n++)
        if (is_used(&border->worker[n]))
            sum += counter_get((const _Atomic uint64_t *)((const char *)&border->worker[n].counters + offset));
    return sum;
}

#define SUM(border, field) sum_over_workers(border, offsetof(struct worker_counters, field))

/*
 * A counter that comes into the world with 1 has risen unseen: what alerts
 * look at is there with 0. The rest, some 600 combinations that hardly ever
 * happen, comes when it happens.
 */
static bool shown_from_start(unsigned route, unsigned method, int status)
{
    if (route == ROUTE_NONE || routes[route].on_metrics_listener || !route_takes(route, method))
        return false;
    switch (status) {
    case 200:
        return route != ROUTE_ASSETS && route != ROUTE_ACCOUNTS;
    case 204:
        return route == ROUTE_ASSETS || route == ROUTE_ACCOUNTS;
    case 408:
    case 429:
        return method == METHOD_POST;
    default:
        return status == 500 || status == 503;
    }
}

static void write_requests(struct buffer *out, const struct border *border)
{
    static const char name[] = "talea_http_requests_total";
    metric_family(out, name, "counter", "Requests answered.");
    for (unsigned route = 0; route < ROUTE_COUNT; route++)
        for (unsigned method = 0; method < METHOD_COUNT; method++)
            for (unsigned status = 0; status < STATUS_COUNT; status++) {
                uint64_t count = SUM(border, requests[route][method][status]);
                if (count > 0 || shown_from_start(route, method, statuses[status]))
                    buffer_printf(out, "%s{method=\"%s\",route=\"%s\",status=\"%d\"} %" PRIu64 "\n", name,
                                  methods[method], routes[route].path, statuses[status], count);
            }
}

static void write_limits(struct buffer *out, const struct border *border)
{
    static const char name[] = "talea_http_limited_total";
    static const char *const limits[HTTP_LIMIT_COUNT] = {
        [HTTP_LIMIT_CONNECTIONS] = "connections",
        [HTTP_LIMIT_ADDRESS] = "address",
        [HTTP_LIMIT_DESCRIPTORS] = "descriptors",
        [HTTP_LIMIT_HEAD_TIME] = "head_time",
        [HTTP_LIMIT_BODY_TIME] = "body_time",
        [HTTP_LIMIT_REQUEST_TIME] = "request_time",
        [HTTP_LIMIT_IDLE_TIME] = "idle_time",
        [HTTP_LIMIT_WRITE_TIME] = "write_time",
        [HTTP_LIMIT_UNSENT] = "unsent",
        [HTTP_LIMIT_EVENT_STREAMS] = "event_streams",
        [HTTP_LIMIT_EVENTS_BEHIND] = "events_behind",
    };
    metric_family(out, name, "counter", "Clients that met a limit: refused, timed out or closed.");
    for (unsigned n = 0; n < HTTP_LIMIT_COUNT; n++)
        buffer_printf(out, "%s{limit=\"%s\"} %" PRIu64 "\n", name, limits[n], SUM(border, limits[n]));
}

static void write_duration(struct buffer *out, const struct border *border, unsigned route, unsigned method)
{
    uint64_t counts[LATENCY_BUCKET_COUNT + 1], all = 0;
    char labels[96];
    for (unsigned b = 0; b <= LATENCY_BUCKET_COUNT; b++) {
        counts[b] = SUM(border, duration[route][method].bucket[b]);
        all += counts[b];
    }
    if (all == 0)
        return;
    snprintf(labels, sizeof labels, "method=\"%s\",route=\"%s\"", methods[method], routes[route].path);
    metric_latencies(out, "talea_http_request_duration_seconds", labels, counts,
                     SUM(border, duration[route][method].sum_ns));
}

static void write_durations(struct buffer *out, const struct border *border)
{
    metric_family(out, "talea_http_request_duration_seconds", "histogram", "From a request's arrival to its answer.");
    for (unsigned route = 0; route < ROUTE_COUNT; route++)
        for (unsigned method = 0; method < METHOD_COUNT; method++)
            write_duration(out, border, route, method);
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
    metric_family(out, "talea_posts_total", "counter", "Drafts that the arbiter decided, by outcome.");
    buffer_printf(out, "talea_posts_total{outcome=\"replayed\"} %" PRIu64 "\n", counter_get(&arbiter->replays));
    for (unsigned code = 1; code < VERDICT_CODE_COUNT; code++)
        buffer_printf(out, "talea_posts_total{outcome=\"%s\"} %" PRIu64 "\n", outcome_of(code),
                      counter_get(&arbiter->verdicts[code]));
}

/* --- what each worker has of its own --- */

static uint64_t requests_of(const struct worker_slot *slot)
{
    return worker_requests(&slot->counters);
}

static uint64_t restarts_of(const struct worker_slot *slot)
{
    return counter_get(&slot->restarts);
}

static uint64_t in_flight_of(const struct worker_slot *slot)
{
    return atomic_load(&slot->in_flight);
}

static uint64_t connections_of(const struct worker_slot *slot)
{
    return atomic_load(&slot->connections);
}

static uint64_t event_streams_of(const struct worker_slot *slot)
{
    return atomic_load(&slot->event_streams);
}

static uint64_t waiting_bytes_of(const struct worker_slot *slot)
{
    return ring_waiting_bytes(&slot->submissions);
}

static uint64_t auth_failures_of(const struct worker_slot *slot)
{
    return counter_get(&slot->counters.auth_failures);
}

static const struct worker_family {
    const char *name, *type, *help;
    uint64_t (*value_of)(const struct worker_slot *slot);
} worker_families[] = {
    {"talea_worker_requests_total", "counter", "Requests answered, by the worker that did.", requests_of},
    {"talea_worker_restarts_total", "counter", "Workers that died and were replaced.", restarts_of},
    {"talea_auth_failures_total", "counter", "Requests without a token that was accepted.", auth_failures_of},
    {"talea_requests_in_flight", "gauge", "Requests that are not answered yet.", in_flight_of},
    {"talea_http_connections", "gauge", "Open connections.", connections_of},
    {"talea_event_streams", "gauge", "Open event streams.", event_streams_of},
    {"talea_ring_waiting_bytes", "gauge", "Bytes in a worker's submission ring.", waiting_bytes_of},
};

static void write_workers(struct buffer *out, const struct border *border)
{
    uint64_t running = 0;
    for (int n = 0; n < WORKER_MAX; n++)
        running += atomic_load(&border->worker[n].pid) != 0;
    metric_gauge(out, "talea_workers", "Workers that run.", running);
    for (size_t i = 0; i < sizeof worker_families / sizeof *worker_families; i++) {
        const struct worker_family *family = &worker_families[i];
        metric_family(out, family->name, family->type, family->help);
        for (int n = 0; n < WORKER_MAX; n++)
            if (is_used(&border->worker[n]))
                buffer_printf(out, "%s{worker=\"%d\"} %" PRIu64 "\n", family->name, n,
                              family->value_of(&border->worker[n]));
    }
}

/* --- the ledger and its arbiter --- */

static void write_commits(struct buffer *out, const struct arbiter_counters *arbiter)
{
    write_outcomes(out, arbiter);
    metric_gauge(out, "talea_write_queue_depth", "Drafts waiting over all books.", counter_get(&arbiter->queue_depth));
    metric_gauge(out, "talea_write_active_books", "Books with drafts waiting.", counter_get(&arbiter->active_books));
    metric_size_histogram(out, "talea_group_commit_drafts", "Drafts decided in one group commit.",
                          &arbiter->group_size);
    metric_fast_histogram(out, "talea_group_commit_duration_seconds", "From the first draft taken to the answers.",
                          &arbiter->group_duration);
    metric_fast_histogram(out, "talea_fdatasync_duration_seconds", "One fdatasync of the log.",
                          &arbiter->fdatasync_duration);
}

#ifdef TALEA_STAGE_TIMES
static void write_stages(struct buffer *out, const struct border *border)
{
    static const char name[] = "talea_stage_seconds_total";
    static const char *const stages[STAGE_TIME_COUNT] = {
        [STAGE_SENT] = "pack",      [STAGE_TAKEN] = "queued", [STAGE_DECIDED] = "decide",
        [STAGE_DURABLE] = "sync",   [STAGE_SHOWN] = "show",   [STAGE_DELIVERED] = "deliver",
    };
    metric_counter(out, "talea_stage_submissions_total", "Requests whose stages are summed.",
                   SUM(border, stages.submissions));
    metric_family(out, name, "counter", "Time that they spent in each stage.");
    for (int moment = STAGE_SENT; moment < STAGE_TIME_COUNT; moment++) {
        buffer_printf(out, "%s{stage=\"%s\"} ", name, stages[moment]);
        metric_seconds(out, SUM(border, stages.sum_ns[moment]));
        buffer_append_string(out, "\n");
    }
}
#else
static void write_stages(struct buffer *out, const struct border *border)
{
    (void)out, (void)border;
}
#endif

static void write_arbiter(struct buffer *out, const struct border *border)
{
    metric_gauge(out, "talea_arbiter_up", "1 while the arbiter takes posts.",
                 atomic_load(&border->arbiter_state) == ARBITER_READY);
    metric_counter(out, "talea_arbiter_restarts_total", "Arbiters that died and were replaced.",
                   counter_get(&border->arbiter.restarts));
    metric_family(out, "talea_db_pool_connections", "gauge", "Always 0: there is no pool.");
    buffer_append_string(out, "talea_db_pool_connections{state=\"size\"} 0\n"
                              "talea_db_pool_connections{state=\"idle\"} 0\n");
}

static void write_ledger(struct buffer *out, const struct border *border)
{
    const struct arbiter_counters *arbiter = &border->arbiter;
    metric_gauge(out, "talea_log_bytes", "Size of the log.", counter_get(&arbiter->log_bytes));
    metric_gauge(out, "talea_log_durable_bytes", "Size of the log up to its last durable batch.",
                 atomic_load(&border->durable_position));
    metric_gauge(out, "talea_events", "Events in the ledger.", counter_get(&arbiter->events));
    metric_family(out, "talea_idempotency_keys", "gauge", "Idempotency keys held in memory, and on disk.");
    buffer_printf(out, "talea_idempotency_keys{where=\"memory\"} %" PRIu64 "\n",
                  counter_get(&arbiter->idempotency_hot_keys));
    buffer_printf(out, "talea_idempotency_keys{where=\"disk\"} %" PRIu64 "\n",
                  counter_get(&arbiter->idempotency_spilled_keys));
    metric_counter(out, "talea_snapshots_total", "Snapshots made.", counter_get(&arbiter->snapshots));
    metric_counter(out, "talea_snapshot_failures_total", "Snapshots that failed.",
                   counter_get(&arbiter->snapshot_failures));
}

/* Alerts compare with these, so that they need no copy of the settings. */
static void write_settings(struct buffer *out, const struct settings *settings)
{
    metric_gauge(out, "talea_requests_in_flight_max", "TALEA_MAX_INFLIGHT, over all workers.", settings->max_inflight);
    metric_gauge(out, "talea_write_queue_depth_max", "TALEA_WRITE_QUEUE_DEPTH, for each book.",
                 settings->write_queue_depth);
    metric_gauge(out, "talea_snapshot_every_events", "TALEA_LOG_SNAPSHOT_EVERY; 0: no snapshots are made.",
                 settings->log_snapshot_every);
}

static void write_talead(struct buffer *out, const struct border *border)
{
    metric_family(out, "talea_build_info", "gauge", "1; the label says which talea this is.");
    buffer_append_string(out, "talea_build_info{version=\"" PACKAGE_VERSION "\"} 1\n");
    metric_family(out, "talea_start_time_seconds", "gauge", "When the master started, since the epoch.");
    buffer_append_string(out, "talea_start_time_seconds ");
    metric_seconds(out, border->started_at_us * 1000);
    buffer_append_string(out, "\n");
}

void handle_get_metrics(struct exchange *e)
{
    const struct border *border = e->worker->border;
    struct buffer *out = &e->worker->answer;
    buffer_clear(out);
    write_talead(out, border);
    write_settings(out, e->worker->settings);
    write_requests(out, border);
    write_durations(out, border);
    write_limits(out, border);
    metric_counter(out, "talea_http_shed_total", "Requests answered 503 over TALEA_MAX_INFLIGHT.", SUM(border, shed));
    metric_counter(out, "talea_http_timeouts_total", "Requests answered 408.", SUM(border, timeouts));
    metric_counter(out, "talea_events_sent_total", "Events sent over event streams.", SUM(border, events_sent));
    write_workers(out, border);
    write_commits(out, &border->arbiter);
    write_stages(out, border);
    write_arbiter(out, border);
    write_ledger(out, border);
    process_metrics_write(out, border);
    exchange_answer_text(e, "text/plain; version=0.0.4; charset=utf-8", NULL, 0, buffer_bytes(out));
}
