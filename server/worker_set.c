#include "server/worker_set.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/exit_status.h"
#include "common/report.h"
#include "common/rfc3339.h"
#include "server/master_state.h"
#include "server/reload.h"
#include "server/worker.h"

#define NONE WORKER_MAX

void worker_set_ring(struct master *m)
{
    for (uint32_t n = 0; n < atomic_load(&m->border->slot_count); n++)
        bell_ring_anyway(&m->border->worker[n].bell);
}

static void raise_slot_count(struct border *border, uint32_t n)
{
    if (n >= atomic_load(&border->slot_count))
        atomic_store(&border->slot_count, n + 1);
}

static void start(struct master *m, uint32_t n)
{
    struct worker_slot *slot = &m->border->worker[n];
    uint32_t generation = atomic_load(&slot->generation) + 1;
    raise_slot_count(m->border, n);
    atomic_store(&slot->order, ORDER_RUN);
    atomic_store(&slot->alive_ns, clock_monotonic_ns());
    atomic_store(&slot->generation, generation);
    bell_ring(&m->border->arbiter_bell);
    m->worker[n].version = m->settings_version;
    m->worker[n].forbidden_call = &slot->forbidden_call;
    if (child_fork(&m->worker[n], m->pid) == 0) {
        close(m->signal_fd);
        forget_environment_token(m);
        control_close_in_child(m->control);
        worker_run(m->border, n, generation, &m->settings, m->tokens, m->api_fd, m->metrics_fd);
    }
    atomic_store(&slot->pid, m->worker[n].pid);
}

static void leave(struct master *m, uint32_t n)
{
    struct child *child = &m->worker[n];
    if (child->pid == 0) { /* it only waited to be started */
        child->start_again_ns = 0;
        return;
    }
    child->leaving = true;
    child->leave_deadline_ns = clock_monotonic_ns() + m->settings.stop_timeout_secs * 1000000000ull;
    atomic_store(&m->border->worker[n].order, ORDER_LEAVE);
    bell_ring_anyway(&m->border->worker[n].bell);
}

uint32_t worker_set_serving(const struct master *m)
{
    uint32_t count = 0;
    for (uint32_t n = 0; n < WORKER_MAX; n++)
        count += child_serves(&m->worker[n]);
    return count;
}

uint32_t worker_set_leaving(const struct master *m)
{
    uint32_t count = 0;
    for (uint32_t n = 0; n < WORKER_MAX; n++)
        count += m->worker[n].pid != 0 && m->worker[n].leaving;
    return count;
}

bool worker_set_empty(const struct master *m)
{
    for (uint32_t n = 0; n < WORKER_MAX; n++)
        if (m->worker[n].pid)
            return false;
    return true;
}

static uint32_t serving_with_newest_settings(const struct master *m)
{
    uint32_t count = 0;
    for (uint32_t n = 0; n < WORKER_MAX; n++)
        count += child_serves(&m->worker[n]) && m->worker[n].version == m->settings_version;
    return count;
}

static uint32_t free_slot(const struct master *m)
{
    uint32_t n = 0;
    while (n < WORKER_MAX && (m->worker[n].pid != 0 || m->worker[n].start_again_ns != 0))
        n++;
    return n;
}

/* Those with old settings first, then the highest. */
static uint32_t next_to_leave(const struct master *m)
{
    uint32_t found = NONE;
    for (uint32_t n = 0; n < WORKER_MAX; n++) {
        if (!child_serves(&m->worker[n]))
            continue;
        if (m->worker[n].version != m->settings_version)
            return n;
        found = n;
    }
    return found;
}

static void start_what_is_due(struct master *m)
{
    uint64_t now = clock_monotonic_ns();
    for (uint32_t n = 0; n < WORKER_MAX; n++)
        if (child_is_waiting(&m->worker[n]) && m->worker[n].start_again_ns <= now)
            start(m, n);
}

static void kill_what_stays(struct master *m)
{
    uint64_t now = clock_monotonic_ns();
    for (uint32_t n = 0; n < WORKER_MAX; n++) {
        struct child *child = &m->worker[n];
        if (child->pid == 0 || !child->leaving || child->leave_deadline_ns > now)
            continue;
        report(REPORT_WARNING, "worker %u %d is killed: it was told to leave and did not within %llu s", n,
               (int)child->pid, (unsigned long long)m->settings.stop_timeout_secs);
        child->leave_deadline_ns = UINT64_MAX;
        kill(child->pid, SIGKILL);
    }
}

void worker_set_settle(struct master *m)
{
    if (m->state != MASTER_SERVING)
        return;
    start_what_is_due(m);
    uint32_t n;
    while (serving_with_newest_settings(m) < m->workers_wanted && (n = free_slot(m)) != NONE)
        start(m, n);
    while (worker_set_serving(m) > m->workers_wanted && (n = next_to_leave(m)) != NONE)
        leave(m, n);
    kill_what_stays(m);
}

static uint32_t slot_of(const struct master *m, int pid)
{
    uint32_t n = 0;
    while (n < WORKER_MAX && m->worker[n].pid != pid)
        n++;
    return n;
}

static void clear_slot(struct worker_slot *slot)
{
    atomic_store(&slot->pid, 0);
    atomic_store(&slot->in_flight, 0);
    atomic_store(&slot->connections, 0);
    atomic_store(&slot->event_streams, 0);
    for (uint32_t n = 0; n < ADDRESS_PLACE_COUNT; n++)
        atomic_store_explicit(&slot->address_connections[n], 0, memory_order_relaxed);
}

bool worker_set_died(struct master *m, int pid, int status)
{
    uint32_t n = slot_of(m, pid);
    if (n == NONE)
        return false;
    struct child *child = &m->worker[n];
    bool ordered = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_STATUS_OK;
    char name[32];
    snprintf(name, sizeof name, "worker %u", n);
    clear_slot(&m->border->worker[n]);
    /* It may have taken the arbiter's sleep flag and died before it rang: then no other worker rings either. */
    bell_ring_anyway(&m->border->arbiter_bell);
    if (m->state != MASTER_STOPPING && !child->leaving) {
        counter_add(&m->border->worker[n].restarts, status != 0); /* 0: somebody told it to leave */
        child_replace(child, name, status);
        return true;
    }
    if (ordered)
        report(REPORT_DEBUG, "%s %d has left", name, pid);
    else
        child_report_death(child, name, status, m->state == MASTER_STOPPING ? "talead is stopping" : "it was leaving");
    child->pid = 0;
    child->leaving = false;
    return true;
}

void worker_set_drain(struct master *m)
{
    for (uint32_t n = 0; n < WORKER_MAX; n++) {
        m->worker[n].start_again_ns = 0;
        if (m->worker[n].pid)
            atomic_store(&m->border->worker[n].order, ORDER_DRAIN);
    }
    worker_set_ring(m);
}

void worker_set_signal(struct master *m, int signal_number)
{
    for (uint32_t n = 0; n < WORKER_MAX; n++)
        if (m->worker[n].pid)
            kill(m->worker[n].pid, signal_number);
}

uint64_t worker_set_due_ns(const struct master *m)
{
    uint64_t due = UINT64_MAX;
    for (uint32_t n = 0; n < WORKER_MAX; n++) {
        const struct child *child = &m->worker[n];
        if (child_is_waiting(child) && child->start_again_ns < due)
            due = child->start_again_ns;
        if (child->pid && child->leaving && child->leave_deadline_ns < due)
            due = child->leave_deadline_ns;
    }
    return due;
}
