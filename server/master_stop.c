#include "server/master_stop.h"

#include <signal.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "common/report.h"
#include "common/rfc3339.h"
#include "server/master_state.h"
#include "server/worker_set.h"

#define FAST_STOP_MS 1000 /* for requests under way when talead is told to stop fast */

static uint64_t patience_ns(const struct master *m, bool fast)
{
    return fast ? FAST_STOP_MS * 1000000ull : m->settings.stop_timeout_secs * 1000000000ull;
}

void master_stop(struct master *m, bool fast)
{
    uint64_t deadline_ns = clock_monotonic_ns() + patience_ns(m, fast);
    if (m->state == MASTER_STOPPING) {
        if (deadline_ns < m->stop_deadline_ns)
            m->stop_deadline_ns = deadline_ns;
        return;
    }
    m->state = MASTER_STOPPING;
    m->stop_deadline_ns = deadline_ns;
    m->arbiter.start_again_ns = 0;
    sd_notify(0, "STOPPING=1\nSTATUS=stopping");
    close(m->api_fd);
    if (m->metrics_fd >= 0)
        close(m->metrics_fd);
    worker_set_drain(m);
}

/* The arbiter goes when no worker needs it any more. */
static void stop_arbiter(struct master *m)
{
    atomic_store(&m->border->arbiter_order, ORDER_DRAIN);
    bell_ring_anyway(&m->border->arbiter_bell);
}

bool master_go_on_stopping(struct master *m)
{
    if (!worker_set_empty(m)) {
        if (clock_monotonic_ns() >= m->stop_deadline_ns) {
            report(REPORT_WARNING, "workers are killed: they did not finish in the time that they had");
            m->stop_deadline_ns = UINT64_MAX;
            worker_set_signal(m, SIGKILL);
        }
        return false;
    }
    if (m->arbiter.pid == 0)
        return true;
    stop_arbiter(m);
    return false;
}

void master_hasten(struct master *m)
{
    report(REPORT_INFO, "told to stop again: what is left is not waited for");
    worker_set_signal(m, SIGKILL);
    if (m->arbiter.pid && atomic_load(&m->border->arbiter_state) == ARBITER_RECOVERING)
        kill(m->arbiter.pid, SIGKILL);
}
