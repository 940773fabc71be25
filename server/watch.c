#include "server/watch.h"

#include <signal.h>
#include <stdio.h>

#include <systemd/sd-daemon.h>

#include "common/report.h"
#include "common/rfc3339.h"
#include "server/master_state.h"

#define PAUSE_NS (3 * 1000000000ull) /* between two looks, which are a second apart: the master itself did not run */

/* --- signs of life --- */

/* Has its process gone round its loop of late? */
static bool is_alive(const struct master *m, uint64_t alive_ns, uint64_t patience_ns)
{
    uint64_t now = clock_monotonic_ns();
    uint64_t since = alive_ns > m->watched_since_ns ? alive_ns : m->watched_since_ns;
    return since >= now || now - since < patience_ns;
}

/*
 * Without an arbiter a new worker waits, and is not to blame; and after a pause
 * of all of talead (SIGSTOP, a machine that slept) every child looks silent.
 */
static void keep_watch(struct master *m)
{
    uint64_t now = clock_monotonic_ns();
    if (atomic_load(&m->border->arbiter_state) != ARBITER_READY || now - m->ticked_ns > PAUSE_NS)
        m->watched_since_ns = now;
    m->ticked_ns = now;
}

static bool all_make_progress(const struct master *m, uint64_t patience_ns)
{
    enum arbiter_state state = atomic_load(&m->border->arbiter_state);
    if (m->state == MASTER_STOPPING || state == ARBITER_RECOVERING)
        return true;
    if (state != ARBITER_READY || !is_alive(m, atomic_load(&m->border->arbiter_alive_ns), patience_ns))
        return false;
    bool any = false; /* one that keeps dying is no reason to end those that serve */
    for (uint32_t n = 0; n < WORKER_MAX; n++) {
        if (m->worker[n].pid == 0)
            continue;
        if (!is_alive(m, atomic_load(&m->border->worker[n].alive_ns), patience_ns))
            return false;
        any = true;
    }
    return any || m->state == MASTER_STARTING;
}

/* Of what the unit's WatchdogSec leaves half is for us to notice, and half to tell. */
static void feed_watchdog(struct master *m)
{
    uint64_t now = clock_monotonic_ns();
    if (m->watchdog_ns == 0 || now - m->watchdog_fed_ns < m->watchdog_ns / 4 || !all_make_progress(m, m->watchdog_ns / 2))
        return;
    m->watchdog_fed_ns = now;
    sd_notify(0, "WATCHDOG=1");
}

/* --- children that hang --- */

static void kill_hung(const struct master *m, const char *name, pid_t pid, _Atomic uint64_t *alive_ns,
                      uint64_t patience_ns)
{
    if (pid == 0 || is_alive(m, atomic_load(alive_ns), patience_ns))
        return;
    report(REPORT_ERROR, "%s %d is killed: it has made no progress for %llu s", name, (int)pid,
           (unsigned long long)(patience_ns / 1000000000));
    atomic_store(alive_ns, UINT64_MAX); /* once */
    kill(pid, SIGKILL);
}

static void kill_what_hangs(struct master *m)
{
    uint64_t patience_ns = m->settings.hang_timeout_secs * 1000000000ull;
    if (patience_ns == 0 || m->state != MASTER_SERVING)
        return;
    if (atomic_load(&m->border->arbiter_state) == ARBITER_READY)
        kill_hung(m, "arbiter", m->arbiter.pid, &m->border->arbiter_alive_ns, patience_ns);
    for (uint32_t n = 0; n < WORKER_MAX; n++) {
        char name[32];
        snprintf(name, sizeof name, "worker %u", n);
        kill_hung(m, name, m->worker[n].pid, &m->border->worker[n].alive_ns, patience_ns);
    }
}

void watch(struct master *m)
{
    keep_watch(m);
    kill_what_hangs(m);
    feed_watchdog(m);
}

void watch_begin(struct master *m)
{
    uint64_t timeout_us = 0;
    if (sd_watchdog_enabled(1, &timeout_us) > 0)
        m->watchdog_ns = timeout_us * 1000;
}
