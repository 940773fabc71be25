#include "server/status.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/exit_status.h"
#include "common/process.h"
#include "common/report.h"
#include "common/rfc3339.h"
#include "server/master_state.h"

#define SAMPLES 11 /* ten seconds between the first and the last */
#define BUSY 0.6   /* a share from which on something is what limits */
#define WORKER_BUSY 0.8
#define MACHINE_BUSY_IDLE 0.1 /* of all CPUs idle: there is none to spare */
#define REQUESTS_OF_IDLE 1.0

struct sample {
    uint64_t at_ns; /* 0: none */
    uint64_t requests[WORKER_MAX];
    uint64_t cpu_ns[WORKER_MAX];
    int pid[WORKER_MAX];
    uint64_t sync_bucket[FAST_BUCKET_COUNT + 1];
    uint64_t sync_ns, group_ns, drafts;
    uint64_t machine_ticks, machine_idle_ticks;
};

struct status {
    struct sample sample[SAMPLES];
    unsigned next;
};

struct status *status_create(void)
{
    struct status *s = calloc(1, sizeof *s);
    if (!s)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    return s;
}

void status_destroy(struct status **status)
{
    free(*status);
    *status = NULL;
}

/* --- sampling --- */

static uint64_t cpu_ns_of(pid_t pid)
{
    struct process_stat stat;
    return process_read_stat(pid, &stat) ? stat.cpu_ticks * (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK)) : 0;
}

static void read_machine(struct sample *s)
{
    uint64_t field[8];
    FILE *file = fopen("/proc/stat", "re"); /* proc(5): user nice system idle iowait irq softirq steal */
    int count = file ? fscanf(file, "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
                                    " %" SCNu64,
                              &field[0], &field[1], &field[2], &field[3], &field[4], &field[5], &field[6], &field[7])
                     : 0;
    if (file)
        fclose(file);
    for (int i = 0; i < count; i++)
        s->machine_ticks += field[i];
    s->machine_idle_ticks = count >= 5 ? field[3] + field[4] : 0;
}

static void take(struct sample *s, const struct master *m)
{
    const struct arbiter_counters *arbiter = &m->border->arbiter;
    *s = (struct sample){.at_ns = clock_monotonic_ns()};
    for (uint32_t n = 0; n < atomic_load(&m->border->slot_count); n++) {
        s->requests[n] = worker_requests(&m->border->worker[n].counters);
        s->pid[n] = m->worker[n].pid;
        s->cpu_ns[n] = s->pid[n] ? cpu_ns_of(s->pid[n]) : 0;
    }
    for (unsigned b = 0; b <= FAST_BUCKET_COUNT; b++)
        s->sync_bucket[b] = counter_get(&arbiter->fdatasync_duration.bucket[b]);
    s->sync_ns = counter_get(&arbiter->fdatasync_duration.sum_ns);
    s->group_ns = counter_get(&arbiter->group_duration.sum_ns);
    s->drafts = counter_get(&arbiter->group_size.sum);
    read_machine(s);
}

void status_sample(struct status *s, const struct master *m)
{
    take(&s->sample[s->next], m);
    s->next = (s->next + 1) % SAMPLES;
}

static const struct sample *oldest(const struct status *s)
{
    for (unsigned i = 0; i < SAMPLES; i++)
        if (s->sample[(s->next + i) % SAMPLES].at_ns)
            return &s->sample[(s->next + i) % SAMPLES];
    return NULL;
}

/* --- what follows from two samples --- */

static double share(double part, double whole)
{
    return whole <= 0 ? 0 : part >= whole ? 1 : part / whole;
}

/* Each commit is one fdatasync. */
static uint64_t count_syncs(const struct sample *then, const struct sample *now)
{
    uint64_t count = 0;
    for (unsigned b = 0; b <= FAST_BUCKET_COUNT; b++)
        count += now->sync_bucket[b] - then->sync_bucket[b];
    return count;
}

/*
 * Seconds that a share `q` of the fdatasyncs between the two, `count` of
 * them, took at the most, interpolated within its bucket.
 */
static double sync_quantile_s(const struct sample *then, const struct sample *now, uint64_t count, double q)
{
    double rank = q * (double)count, below = 0;
    for (unsigned b = 0; count && b <= FAST_BUCKET_COUNT; b++) {
        double in = (double)(now->sync_bucket[b] - then->sync_bucket[b]);
        double low = b ? (double)fast_bucket_bound_ns(b - 1) / 1e9 : 0;
        double high = b < FAST_BUCKET_COUNT ? (double)fast_bucket_bound_ns(b) / 1e9 : 2 * low;
        if (in > 0 && below + in >= rank)
            return low + (high - low) * (rank - below) / in;
        below += in;
    }
    return 0;
}

static void view_arbiter_rates(struct status_view *v, const struct sample *then, const struct sample *now)
{
    double window_ns = (double)(now->at_ns - then->at_ns);
    double sync_ns = (double)(now->sync_ns - then->sync_ns), group_ns = (double)(now->group_ns - then->group_ns);
    uint64_t commits = count_syncs(then, now);
    v->commits_per_s = (double)commits / v->window_s;
    v->drafts_per_s = (double)(now->drafts - then->drafts) / v->window_s;
    v->drafts_per_commit = commits ? (double)(now->drafts - then->drafts) / (double)commits : 0;
    v->sync_p50_s = sync_quantile_s(then, now, commits, 0.5);
    v->sync_p99_s = sync_quantile_s(then, now, commits, 0.99);
    v->sync_share = share(sync_ns, window_ns);
    v->decide_share = share(group_ns - sync_ns > 0 ? group_ns - sync_ns : 0, window_ns);
    v->idle_share = 1 - share(sync_ns + v->decide_share * window_ns, window_ns);
}

static void view_worker_rates(struct status_view *v, const struct sample *then, const struct sample *now)
{
    double window_ns = (double)(now->at_ns - then->at_ns), shares = 0;
    unsigned known = 0;
    for (uint32_t i = 0; i < v->worker_count; i++) {
        struct worker_view *w = &v->worker[i];
        uint32_t n = w->number;
        w->requests_per_s = (double)(now->requests[n] - then->requests[n]) / v->window_s;
        if (w->pid == 0 || then->pid[n] != w->pid)
            continue;
        w->cpu_share = share((double)(now->cpu_ns[n] - then->cpu_ns[n]), window_ns);
        shares += w->cpu_share;
        known++;
    }
    for (uint32_t n = 0; n < WORKER_MAX; n++) /* of those that have left, too */
        v->requests_per_s += (double)(now->requests[n] - then->requests[n]) / v->window_s;
    v->worker_cpu_share = known ? shares / known : 0;
    v->machine_idle_share = share((double)(now->machine_idle_ticks - then->machine_idle_ticks),
                                  (double)(now->machine_ticks - then->machine_ticks));
}

/* --- what limits --- */

const char *status_limit_word(enum status_limit limit)
{
    switch (limit) {
    case LIMIT_NOT_SERVING:
        return "not serving";
    case LIMIT_IDLE:
        return "idle";
    case LIMIT_DISK:
        return "disk";
    case LIMIT_ARBITER:
        return "arbiter";
    case LIMIT_WORKERS:
        return "workers";
    case LIMIT_MACHINE:
        return "machine";
    case LIMIT_CLIENTS:
        return "clients";
    }
    return "";
}

static enum status_limit limit_of(const struct status_view *v, enum arbiter_state arbiter)
{
    if (arbiter != ARBITER_READY)
        return LIMIT_NOT_SERVING;
    if (v->requests_per_s < REQUESTS_OF_IDLE)
        return LIMIT_IDLE;
    if (v->sync_share >= BUSY)
        return LIMIT_DISK;
    if (v->decide_share >= BUSY)
        return LIMIT_ARBITER;
    if (v->machine_idle_share < MACHINE_BUSY_IDLE)
        return LIMIT_MACHINE;
    return v->worker_cpu_share >= WORKER_BUSY ? LIMIT_WORKERS : LIMIT_CLIENTS;
}

static void say_limit(struct status_view *v)
{
    char *text = v->limit_sentence;
    size_t size = sizeof v->limit_sentence;
    switch (v->limit) {
    case LIMIT_NOT_SERVING:
        snprintf(text, size, "the arbiter is %s: posts are answered 503%s%s", v->arbiter_state,
                 v->arbiter_last_death[0] ? "; the last one " : "", v->arbiter_last_death);
        break;
    case LIMIT_IDLE:
        snprintf(text, size, "nothing, hardly anything is asked");
        break;
    case LIMIT_DISK:
        snprintf(text, size,
                 "the disk: %.0f %% of each second goes into fdatasync; faster storage, or more drafts in a request, "
                 "would help", 100 * v->sync_share);
        break;
    case LIMIT_ARBITER:
        snprintf(text, size, "the arbiter's CPU: %.0f %% of each second goes into deciding; a faster core would help",
                 100 * v->decide_share);
        break;
    case LIMIT_WORKERS:
        snprintf(text, size, "the workers: each uses %.0f %% of a CPU while %.0f %% of the machine is idle",
                 100 * v->worker_cpu_share, 100 * v->machine_idle_share);
        break;
    case LIMIT_MACHINE:
        snprintf(text, size, "the machine's CPUs: %.0f %% of them is idle", 100 * v->machine_idle_share);
        break;
    case LIMIT_CLIENTS:
        snprintf(text, size, "the clients: the arbiter is idle for %.0f %% of each second, and a worker for %.0f %%",
                 100 * v->idle_share, 100 * (1 - v->worker_cpu_share));
        break;
    }
}

static void advise(struct status_view *v)
{
    char *text = v->advice;
    size_t size = sizeof v->advice;
    v->more_workers_help = v->limit == LIMIT_WORKERS && v->workers_wanted < v->cpus;
    if (v->more_workers_help)
        snprintf(text, size, "one more would help (talead workers +1): what limits is %s", v->limit_sentence);
    else if (v->limit == LIMIT_WORKERS)
        snprintf(text, size, "one more may help a little, there is one for each of the %u CPUs: what limits is %s", v->cpus,
                 v->limit_sentence);
    else if (v->limit == LIMIT_MACHINE && v->workers_wanted > v->cpus)
        snprintf(text, size, "more would not help, %u for %u CPUs may be too many: what limits is %s", v->workers_wanted,
                 v->cpus, v->limit_sentence);
    else if (v->limit == LIMIT_IDLE)
        snprintf(text, size, "more would not help: hardly anything is asked");
    else
        snprintf(text, size, "more would not help: what limits is %s", v->limit_sentence);
}

/* --- the view --- */

static void view_worker(struct status_view *v, const struct master *m, uint32_t n, uint64_t now_ns)
{
    const struct child *child = &m->worker[n];
    const struct worker_slot *slot = &m->border->worker[n];
    if (child->pid == 0 && !child_is_waiting(child))
        return;
    v->worker[v->worker_count++] = (struct worker_view){
        .number = n,
        .pid = child->pid,
        .state = child->pid == 0 ? "waiting" : child->leaving ? "leaving" : "serving",
        .age_s = child->pid ? (now_ns - child->started_ns) / 1000000000 : 0,
        .connections = atomic_load(&slot->connections),
        .in_flight = atomic_load(&slot->in_flight),
        .event_streams = atomic_load(&slot->event_streams),
        .ring_bytes = ring_waiting_bytes(&slot->submissions),
        .deaths = child->deaths,
        .last_death = child->last_death,
    };
}

static const char *arbiter_state_word(enum arbiter_state state)
{
    switch (state) {
    case ARBITER_DOWN:
        return "down";
    case ARBITER_RECOVERING:
        return "recovering";
    case ARBITER_READY:
        return "serving";
    case ARBITER_STOPPING:
        return "stopping";
    }
    return "";
}

static void view_arbiter(struct status_view *v, const struct master *m, uint64_t now_ns)
{
    const struct border *border = m->border;
    v->arbiter_state = arbiter_state_word(atomic_load(&border->arbiter_state));
    v->arbiter_pid = m->arbiter.pid;
    v->arbiter_age_s = m->arbiter.pid ? (now_ns - m->arbiter.started_ns) / 1000000000 : 0;
    v->arbiter_deaths = m->arbiter.deaths;
    v->arbiter_last_death = m->arbiter.last_death;
    v->arbiter_backoff_ms = child_is_waiting(&m->arbiter) ? m->arbiter.backoff_ms : 0;
    v->recovery_percent = atomic_load(&border->recovery_percent);
    v->queue_drafts = counter_get(&border->arbiter.queue_depth);
    v->queue_books = counter_get(&border->arbiter.active_books);
}

/* A name that was cut may end within a character. */
static void view_head(struct status_view *v, const struct border *border)
{
    border_read_head(border, &v->head);
    size_t length = v->head.deepest_length < BOOK_SHOWN_BYTES ? v->head.deepest_length : BOOK_SHOWN_BYTES;
    if (v->head.deepest_length > length)
        while (length > 0 && (v->head.deepest_book[length - 1] & 0xc0) == 0x80)
            length--;
    if (v->head.deepest_length > length && length > 0 && v->head.deepest_book[length - 1] >= 0xc0)
        length--;
    v->deepest_book = bytes_of(v->head.deepest_book, length);
}

void status_view(const struct status *s, const struct master *m, struct status_view *v)
{
    static const char *const states[] = {"starting", "serving", "stopping"};
    struct sample now;
    const struct sample *then = oldest(s);
    take(&now, m);
    *v = (struct status_view){
        .state = states[m->state],
        .directory = m->settings.data_dir,
        .uptime_s = ((uint64_t)clock_now_us() - m->border->started_at_us) / 1000000,
        .window_s = then ? (double)(now.at_ns - then->at_ns) / 1e9 : 0,
        .workers_wanted = m->workers_wanted,
        .cpus = process_cpu_count(),
    };
    view_head(v, m->border);
    for (uint32_t n = 0; n < WORKER_MAX; n++)
        view_worker(v, m, n, now.at_ns);
    view_arbiter(v, m, now.at_ns);
    if (v->window_s > 0) {
        view_arbiter_rates(v, then, &now);
        view_worker_rates(v, then, &now);
    }
    v->limit = limit_of(v, atomic_load(&m->border->arbiter_state));
    say_limit(v);
    advise(v);
}
