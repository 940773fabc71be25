#include "server/master.h"

/*
 * Everything comes in through one poll: signals (signalfd), the arbiter's
 * changes of state (an eventfd), and a timer for children that are to be
 * started again.
 *
 * The master's own life: STARTING (no workers yet: the arbiter recovers),
 * SERVING, STOPPING (workers finish what they have, then the arbiter seals the
 * log; the end).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bsd/unistd.h>
#include <systemd/sd-daemon.h>

#include "common/border.h"
#include "common/data_dir.h"
#include "common/exit_status.h"
#include "common/report.h"
#include "common/rfc3339.h"
#include "server/listen.h"
#include "server/tokens.h"
#include "server/worker.h"

#define STOP_PATIENCE_MS 30000 /* for requests under way when talead stops */
#define SHORT_LIFE_MS 1000     /* a child that lived no longer has crashed at its start */
#define RECOVERY_PATIENCE_US 60000000ull /* what one sign of progress is good for */
#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 5000

enum master_state { MASTER_STARTING, MASTER_SERVING, MASTER_STOPPING };

/* One process that the master keeps alive. */
struct child {
    pid_t pid; /* 0: none runs */
    uint64_t started_ns;
    uint64_t start_again_ns; /* 0: not waiting to be started */
    unsigned backoff_ms;
};

struct master {
    enum master_state state;
    struct settings settings;
    struct tokens *tokens;
    struct border *border;
    int api_fd, metrics_fd, signal_fd;
    struct child arbiter;
    struct child worker[WORKER_MAX];
    uint64_t stop_deadline_ns;
    uint32_t recovery_percent_told;
    int exit_status; /* once it is known to be other than 0 */
    pid_t pid;
};

static uint64_t now_ms(void)
{
    return clock_monotonic_ns() / 1000000;
}

/* --- start --- */

/* Wipes the token where ps and /proc/<pid>/environ would show it; the settings have their own copy. */
static void hide_token(void)
{
    char *value = getenv("TALEA_API_TOKEN");
    if (value)
        explicit_bzero(value, strlen(value));
    unsetenv("TALEA_API_TOKEN");
}

static int load(struct master *m, const char *config_path)
{
    char error[512];
    if (settings_load(config_path, ".env", &m->settings, error, sizeof error) != 0 ||
        tokens_load(m->settings.api_token, m->settings.tokens_file, &m->tokens, error, sizeof error) != 0) {
        report_usage_error("%s", error);
        return EINVAL;
    }
    hide_token();
    return 0;
}

static int open_listeners(struct master *m)
{
    char error[512];
    m->metrics_fd = -1;
    int failed = listen_on(m->settings.bind, "TALEA_BIND", &m->api_fd, error, sizeof error);
    if (failed == 0 && m->settings.metrics_bind)
        failed = listen_on(m->settings.metrics_bind, "TALEA_METRICS_BIND", &m->metrics_fd, error, sizeof error);
    /* The same command twice: what is wrong is not the address. */
    if (failed == EADDRINUSE && data_dir_is_locked(m->settings.data_dir))
        report_usage_error("data dir already locked by another process: %s", m->settings.data_dir);
    else if (failed)
        report_usage_error("%s", error);
    return failed;
}

static void block_signals(struct master *m)
{
    static const int taken[] = {SIGCHLD, SIGTERM, SIGINT, SIGQUIT, SIGHUP};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        sigaddset(&set, taken[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    m->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (m->signal_fd < 0)
        report_fatal(EXIT_STATUS_FAILED, "signalfd: %s", strerror(errno));
}

/* --- children --- */

/* In the child: it must not outlive the master, nor keep what is the master's. */
static void become_child(const struct master *m)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != m->pid)
        _exit(EXIT_STATUS_ORPHANED);
    close(m->signal_fd);
}

static pid_t fork_child(struct master *m, struct child *child)
{
    pid_t pid = fork();
    if (pid == 0) {
        become_child(m);
        return 0;
    }
    child->started_ns = clock_monotonic_ns();
    child->start_again_ns = 0;
    child->pid = pid > 0 ? pid : 0;
    if (pid < 0) {
        report(REPORT_ERROR, "fork: %s; tried again in %d ms", strerror(errno), BACKOFF_MAX_MS);
        child->start_again_ns = child->started_ns + BACKOFF_MAX_MS * 1000000ull;
    }
    return pid;
}

static void start_arbiter(struct master *m)
{
    if (fork_child(m, &m->arbiter) == 0) {
        close(m->api_fd);
        if (m->metrics_fd >= 0)
            close(m->metrics_fd);
        arbiter_run(m->border, &m->settings);
    }
    atomic_store(&m->border->arbiter_pid, m->arbiter.pid);
}

static void start_worker(struct master *m, uint32_t n)
{
    struct worker_slot *slot = &m->border->worker[n];
    uint32_t generation = atomic_load(&slot->generation) + 1;
    atomic_store(&slot->generation, generation);
    bell_ring(&m->border->arbiter_bell);
    if (fork_child(m, &m->worker[n]) == 0)
        worker_run(m->border, n, generation, &m->settings, m->tokens, m->api_fd, m->metrics_fd);
    atomic_store(&slot->pid, m->worker[n].pid);
}

static const char *exit_word(int status)
{
    switch (status) {
    case EXIT_STATUS_OK:
        return "left";
    case EXIT_STATUS_FAILED:
        return "failed";
    case EXIT_STATUS_NO_MEMORY:
        return "ran out of memory";
    case EXIT_STATUS_CORRUPT:
        return "found the ledger damaged";
    case EXIT_STATUS_COMMIT_FAILED:
        return "could not make a batch durable";
    case EXIT_STATUS_LOCKED:
        return "found the directory locked";
    case EXIT_STATUS_ORPHANED:
        return "lost its master";
    case EXIT_STATUS_REBUILD:
        return "threw damaged idempotency keys away";
    default:
        return "exited";
    }
}

/* How long to wait before a dead child is started again: not at all, unless it keeps dying young. */
static unsigned next_backoff(struct child *child)
{
    uint64_t lived_ms = (clock_monotonic_ns() - child->started_ns) / 1000000;
    if (lived_ms >= SHORT_LIFE_MS)
        child->backoff_ms = 0;
    else
        child->backoff_ms = child->backoff_ms == 0                      ? BACKOFF_FIRST_MS
                            : child->backoff_ms * 2 < BACKOFF_MAX_MS ? child->backoff_ms * 2
                                                                        : BACKOFF_MAX_MS;
    return child->backoff_ms;
}

static void report_death(const char *name, pid_t pid, int status, const char *what_now)
{
    char how[96];
    if (WIFSIGNALED(status))
        snprintf(how, sizeof how, "was killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(how, sizeof how, "%s (status %d)", exit_word(WEXITSTATUS(status)), WEXITSTATUS(status));
    report(REPORT_ERROR, "%s %d %s; %s", name, (int)pid, how, what_now);
}

/* Sets when another one is started, and says so. */
static void replace_child(struct child *child, const char *name, pid_t pid, int status)
{
    char what_now[64] = "another is started at once";
    unsigned wait_ms = next_backoff(child);
    if (wait_ms)
        snprintf(what_now, sizeof what_now, "another is started in %u ms", wait_ms);
    report_death(name, pid, status, what_now);
    child->start_again_ns = clock_monotonic_ns() + wait_ms * 1000000ull;
}

static void ring_workers(struct master *m)
{
    for (uint32_t n = 0; n < m->border->worker_count; n++)
        bell_ring_anyway(&m->border->worker[n].bell);
}

static void stop(struct master *m);

/* What a new arbiter would find again, or must not be papered over, ends talead. */
static bool is_hopeless(const struct master *m, int status)
{
    if (!WIFEXITED(status))
        return false;
    int code = WEXITSTATUS(status);
    return code == EXIT_STATUS_CORRUPT ||
           (m->state == MASTER_STARTING && (code == EXIT_STATUS_LOCKED || code == EXIT_STATUS_FAILED));
}

static bool died_of_itself(int signal_number)
{
    return signal_number == SIGSEGV || signal_number == SIGBUS || signal_number == SIGABRT || signal_number == SIGFPE;
}

static void arbiter_died(struct master *m, int status)
{
    pid_t pid = m->arbiter.pid;
    bool ordered = m->state == MASTER_STOPPING && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_STATUS_OK;
    m->arbiter.pid = 0;
    atomic_store(&m->border->arbiter_state, ARBITER_DOWN);
    atomic_store(&m->border->arbiter_pid, 0);
    ring_workers(m);
    if (ordered)
        return;
    if (is_hopeless(m, status) || m->state == MASTER_STOPPING) {
        if (m->state != MASTER_STARTING) /* else it has said why in one line */
            report_death("arbiter", pid, status, "talead ends");
        m->exit_status = EXIT_STATUS_FAILED;
        stop(m);
        return;
    }
    /*
     * LMDB does not check its pages: a damaged index, or damaged keys, can kill
     * who reads them, at any time; and the index is mapped for writing, so who
     * died of its memory may have written into it. The next one rebuilds both.
     */
    bool of_itself = WIFSIGNALED(status) && died_of_itself(WTERMSIG(status));
    atomic_store(&m->border->index_order, of_itself ? INDEX_REPLACE : INDEX_TRUST);
    counter_add(&m->border->arbiter.restarts, 1);
    replace_child(&m->arbiter, "arbiter", pid, status);
}

static void worker_died(struct master *m, uint32_t n, int status)
{
    struct child *child = &m->worker[n];
    pid_t pid = child->pid;
    char name[32];
    child->pid = 0;
    atomic_store(&m->border->worker[n].pid, 0);
    atomic_store(&m->border->worker[n].in_flight, 0);
    atomic_store(&m->border->worker[n].connections, 0);
    atomic_store(&m->border->worker[n].event_streams, 0);
    /* It may have taken the arbiter's sleep flag and died before it rang: then no other worker rings either. */
    bell_ring_anyway(&m->border->arbiter_bell);
    snprintf(name, sizeof name, "worker %u", n);
    if (m->state != MASTER_STOPPING)
        replace_child(child, name, pid, status);
    else if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_STATUS_OK)
        report_death(name, pid, status, "talead is stopping");
}

static void reap(struct master *m)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == m->arbiter.pid)
            arbiter_died(m, status);
        for (uint32_t n = 0; n < m->border->worker_count; n++)
            if (pid == m->worker[n].pid)
                worker_died(m, n, status);
    }
}

static void start_what_is_due(struct master *m)
{
    uint64_t now = clock_monotonic_ns();
    if (m->state == MASTER_STOPPING)
        return;
    if (m->arbiter.start_again_ns && m->arbiter.start_again_ns <= now)
        start_arbiter(m);
    for (uint32_t n = 0; n < m->border->worker_count; n++)
        if (m->worker[n].start_again_ns && m->worker[n].start_again_ns <= now)
            start_worker(m, n);
}

/* --- stop --- */

static bool workers_left(const struct master *m)
{
    for (uint32_t n = 0; n < m->border->worker_count; n++)
        if (m->worker[n].pid)
            return true;
    return false;
}

static void kill_workers(struct master *m)
{
    for (uint32_t n = 0; n < m->border->worker_count; n++)
        if (m->worker[n].pid)
            kill(m->worker[n].pid, SIGKILL);
}

static void stop(struct master *m)
{
    if (m->state == MASTER_STOPPING)
        return;
    m->state = MASTER_STOPPING;
    m->stop_deadline_ns = clock_monotonic_ns() + STOP_PATIENCE_MS * 1000000ull;
    sd_notify(0, "STOPPING=1\nSTATUS=stopping");
    close(m->api_fd);
    if (m->metrics_fd >= 0)
        close(m->metrics_fd);
    for (uint32_t n = 0; n < m->border->worker_count; n++)
        atomic_store(&m->border->worker[n].order, ORDER_DRAIN);
    ring_workers(m);
}

/* The arbiter goes when no worker needs it any more. */
static void stop_arbiter(struct master *m)
{
    atomic_store(&m->border->arbiter_order, ORDER_DRAIN);
    bell_ring_anyway(&m->border->arbiter_bell);
}

/* True when nothing is left. */
static bool go_on_stopping(struct master *m)
{
    if (workers_left(m)) {
        if (clock_monotonic_ns() >= m->stop_deadline_ns) {
            report(REPORT_WARNING, "workers are killed: they did not finish within %d s", STOP_PATIENCE_MS / 1000);
            m->stop_deadline_ns = UINT64_MAX;
            kill_workers(m);
        }
        return false;
    }
    if (m->arbiter.pid == 0)
        return true;
    stop_arbiter(m);
    return false;
}

/* --- the loop --- */

/*
 * Told to stop again. Workers need not finish; an arbiter that still recovers
 * holds nothing anybody waits for, and the next start recovers anew. One that
 * has recovered seals its log in any case.
 */
static void hasten(struct master *m)
{
    report(REPORT_INFO, "told to stop again: what is left is not waited for");
    kill_workers(m);
    if (m->arbiter.pid && atomic_load(&m->border->arbiter_state) == ARBITER_RECOVERING)
        kill(m->arbiter.pid, SIGKILL);
}

static void on_signal(struct master *m, int number)
{
    switch (number) {
    case SIGCHLD:
        reap(m);
        return;
    case SIGHUP:
        report(REPORT_INFO, "SIGHUP: nothing to reload; restart talead to change its settings");
        return;
    default:
        break;
    }
    if (m->state == MASTER_STOPPING) {
        hasten(m);
        return;
    }
    report(REPORT_INFO, "stopping: %s", strsignal(number));
    stop(m);
}

static void take_signals(struct master *m)
{
    struct signalfd_siginfo info;
    while (read(m->signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
        on_signal(m, (int)info.ssi_signo);
}

/* The service manager waits longer while a long recovery makes progress. */
static void tell_recovery(struct master *m)
{
    uint32_t percent = atomic_load(&m->border->recovery_percent);
    if (atomic_load(&m->border->arbiter_state) != ARBITER_RECOVERING || percent == m->recovery_percent_told)
        return;
    m->recovery_percent_told = percent;
    sd_notifyf(0, "STATUS=%s: %u %%, about %llu s left\nEXTEND_TIMEOUT_USEC=%llu",
               recovery_step_words(atomic_load(&m->border->recovery_step)), percent,
               (unsigned long long)atomic_load(&m->border->recovery_seconds_left), RECOVERY_PATIENCE_US);
}

static void on_arbiter_state(struct master *m)
{
    char address[LISTEN_ADDRESS_MAX];
    uint64_t count;
    ssize_t n = read(m->border->master_event_fd, &count, sizeof count);
    (void)n;
    tell_recovery(m);
    if (m->state != MASTER_STARTING || atomic_load(&m->border->arbiter_state) != ARBITER_READY)
        return;
    m->state = MASTER_SERVING;
    listen_address(m->api_fd, address);
    if (tokens_open_mode(m->tokens))
        report(REPORT_WARNING,
               "OPEN MODE: no token is configured, everybody who reaches %s may read and post; "
               "set TALEA_API_TOKEN or TALEA_TOKENS_FILE",
               address);
    for (uint32_t i = 0; i < m->border->worker_count; i++)
        start_worker(m, i);
    report(REPORT_INFO, "ready: serving %s on http://%s with %u worker%s", m->settings.data_dir, address,
           m->border->worker_count, m->border->worker_count == 1 ? "" : "s");
    sd_notifyf(0, "READY=1\nSTATUS=serving %s on http://%s", m->settings.data_dir, address);
}

/* Milliseconds until something is due; -1: nothing is. */
static int next_deadline_ms(const struct master *m)
{
    uint64_t due = UINT64_MAX;
    if (m->state == MASTER_STOPPING) {
        due = m->stop_deadline_ns;
    } else {
        if (m->arbiter.start_again_ns)
            due = m->arbiter.start_again_ns;
        for (uint32_t n = 0; n < m->border->worker_count; n++)
            if (m->worker[n].start_again_ns && m->worker[n].start_again_ns < due)
                due = m->worker[n].start_again_ns;
    }
    if (due == UINT64_MAX)
        return -1;
    uint64_t now = now_ms(), at = due / 1000000 + 1;
    return at <= now ? 0 : (int)(at - now);
}

static void supervise(struct master *m)
{
    struct pollfd fds[] = {
        {.fd = m->signal_fd, .events = POLLIN},
        {.fd = m->border->master_event_fd, .events = POLLIN},
    };
    for (;;) {
        if (m->state == MASTER_STOPPING && go_on_stopping(m))
            return;
        (void)poll(fds, 2, next_deadline_ms(m));
        take_signals(m);
        on_arbiter_state(m);
        start_what_is_due(m);
    }
}

static int serve(struct master *m)
{
    int error = border_create((uint32_t)m->settings.workers, &m->border);
    if (error) {
        report_usage_error("cannot make the shared memory: %s", strerror(error));
        return EXIT_STATUS_FAILED;
    }
    block_signals(m);
    start_arbiter(m);
    supervise(m);
    border_destroy(&m->border);
    return m->exit_status;
}

int master_serve(const char *config_path)
{
    struct master m = {.state = MASTER_STARTING, .pid = getpid()};
    int status = EXIT_STATUS_FAILED;
    report_set_process("master");
    if (load(&m, config_path) == 0 && open_listeners(&m) == 0) {
        setproctitle("-talead: master %s", m.settings.data_dir);
        status = serve(&m);
    }
    tokens_destroy(&m.tokens);
    settings_free(&m.settings);
    return status;
}
