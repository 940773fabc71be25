#include "server/master.h"

/*
 * The loop. Everything comes in through one poll: signals (signalfd), the
 * arbiter's changes of state (an eventfd), the control socket, and a tick each
 * second for what is measured, watched, or due.
 */
#include <errno.h>
#include <inttypes.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bsd/unistd.h>
#include <systemd/sd-daemon.h>

#include "common/data_dir.h"
#include "common/exit_status.h"
#include "common/privileges.h"
#include "common/process.h"
#include "common/report.h"
#include "common/rfc3339.h"
#include "server/listen.h"
#include "server/master_commands.h"
#include "server/master_state.h"
#include "server/master_stop.h"
#include "server/reload.h"
#include "server/watch.h"
#include "server/worker_set.h"

#define OPEN_FILES_BESIDE 64 /* of a worker: what are no connections */
#define TICK_MS 1000
#define RECOVERY_PATIENCE_US 60000000ull /* what one sign of progress is good for */

/* --- start --- */

/* Wipes the token where ps and /proc/<pid>/environ would show it; the master keeps a copy for reloads. */
static void hide_token(struct master *m)
{
    char *value = getenv("TALEA_API_TOKEN");
    if (!value)
        return;
    m->token_of_environment = strdup(value);
    if (!m->token_of_environment)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    explicit_bzero(value, strlen(value));
    unsetenv("TALEA_API_TOKEN");
}

static int load(struct master *m)
{
    char error[512];
    hide_token(m);
    if (load_settings(m, &m->settings, &m->tokens, error, sizeof error) != 0 ||
        report_configure(&m->settings, error, sizeof error) != 0) {
        report_usage_error("%s", error);
        return EINVAL;
    }
    m->settings_version = 1;
    m->workers_wanted = (uint32_t)m->settings.workers;
    return 0;
}

static int open_listeners(struct master *m)
{
    char error[512];
    struct listen_inherited inherited;
    int failed = listen_inherit(&inherited, error, sizeof error);
    m->api_fd = inherited.api_fd;
    m->metrics_fd = inherited.metrics_fd;
    if (failed == 0 && m->api_fd < 0)
        failed = listen_on(m->settings.bind, "TALEA_BIND", &m->api_fd, error, sizeof error);
    if (failed == 0 && m->metrics_fd < 0 && m->settings.metrics_bind)
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
    /* Blocked in children too, until they have handlers of their own. */
    static const int taken[] = {SIGCHLD, SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGTTIN, SIGTTOU};
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

/* --- the arbiter --- */

static void start_arbiter(struct master *m)
{
    m->arbiter.forbidden_call = &m->border->arbiter_forbidden_call;
    if (child_fork(&m->arbiter, m->pid) == 0) {
        close(m->signal_fd);
        forget_environment_token(m);
        control_close_in_child(m->control);
        close(m->api_fd);
        if (m->metrics_fd >= 0)
            close(m->metrics_fd);
        arbiter_run(m->border, &m->settings);
    }
    atomic_store(&m->border->arbiter_pid, m->arbiter.pid);
}

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

/* It is over: what is left of talead ends as well. */
static void arbiter_died_for_good(struct master *m, int status)
{
    if (m->state != MASTER_STARTING) /* else it has said why in one line */
        child_report_death(&m->arbiter, "arbiter", status, "talead ends");
    m->arbiter.pid = 0;
    m->exit_status = EXIT_STATUS_FAILED;
    master_stop(m, false);
}

static void arbiter_died(struct master *m, int status)
{
    bool ordered = m->state == MASTER_STOPPING && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_STATUS_OK;
    atomic_store(&m->border->arbiter_state, ARBITER_DOWN);
    atomic_store(&m->border->arbiter_pid, 0);
    worker_set_ring(m);
    if (ordered) {
        m->arbiter.pid = 0;
        return;
    }
    if (is_hopeless(m, status) || m->state == MASTER_STOPPING) {
        arbiter_died_for_good(m, status);
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
    child_replace(&m->arbiter, "arbiter", status);
}

static void reap(struct master *m)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == m->arbiter.pid)
            arbiter_died(m, status);
        else
            (void)worker_set_died(m, pid, status);
    }
}

static void start_what_is_due(struct master *m)
{
    if (m->state == MASTER_STOPPING)
        return;
    if (child_is_waiting(&m->arbiter) && m->arbiter.start_again_ns <= clock_monotonic_ns())
        start_arbiter(m);
    worker_set_settle(m);
}

/* --- signals --- */

static void stop_on_signal(struct master *m, int number)
{
    if (m->state == MASTER_STOPPING) {
        master_hasten(m);
        return;
    }
    report(REPORT_INFO, "stopping: %s", strsignal(number));
    master_stop(m, number == SIGINT);
}

static void change_workers(struct master *m, const char *change)
{
    struct buffer answer = {0};
    struct control_request request = {.count = 2, .word = {BYTES_LITERAL("workers"), bytes_of_string(change)}};
    if (master_command(m, &request, &answer) != EXIT_STATUS_OK)
        report(REPORT_WARNING, "%.*s", (int)answer.len - 1, (const char *)answer.base);
    buffer_free(&answer);
}

static void reload_on_signal(struct master *m)
{
    struct buffer answer = {0};
    (void)reload(m, &answer); /* which says in the log what it did */
    buffer_free(&answer);
}

/* The log file was moved away: every process has it open. */
static void reopen_log(struct master *m)
{
    report_reopen();
    if (m->arbiter.pid)
        kill(m->arbiter.pid, SIGUSR1);
    worker_set_signal(m, SIGUSR1);
}

static void on_signal(struct master *m, int number)
{
    switch (number) {
    case SIGCHLD:
        reap(m);
        break;
    case SIGHUP:
        reload_on_signal(m);
        break;
    case SIGUSR1:
        reopen_log(m);
        break;
    case SIGTTIN:
        change_workers(m, "+1");
        break;
    case SIGTTOU:
        change_workers(m, "-1");
        break;
    default:
        stop_on_signal(m, number);
    }
}

static void take_signals(struct master *m)
{
    struct signalfd_siginfo info;
    while (read(m->signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
        on_signal(m, (int)info.ssi_signo);
}

/* --- the service manager --- */

/* It waits longer while a long recovery makes progress. */
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

/* --- the loop --- */

/* From here on nobody else serves the directory: the arbiter holds its lock. */
static void open_control(struct master *m)
{
    if (m->control)
        return;
    int error = control_create(m->settings.data_dir, master_command, m, &m->control);
    if (error)
        report(REPORT_WARNING, "no admin command will reach this talead: cannot make %s/" DATA_DIR_CONTROL ": %s",
               m->settings.data_dir, strerror(error));
}

static void begin_serving(struct master *m)
{
    char address[LISTEN_ADDRESS_MAX];
    m->state = MASTER_SERVING;
    listen_address(m->api_fd, address);
    if (tokens_open_mode(m->tokens))
        report(REPORT_WARNING,
               "OPEN MODE: no token is configured, everybody who reaches %s may read and post; "
               "set TALEA_API_TOKEN or TALEA_TOKENS_FILE",
               address);
    worker_set_settle(m);
    report(REPORT_INFO, "ready: serving %s on http://%s with %u worker%s", m->settings.data_dir, address,
           m->workers_wanted, m->workers_wanted == 1 ? "" : "s");
    sd_notifyf(0, "READY=1\nSTATUS=serving %s on http://%s", m->settings.data_dir, address);
}

static void follow_arbiter(struct master *m)
{
    uint64_t count;
    ssize_t n = read(m->border->master_event_fd, &count, sizeof count);
    (void)n;
    enum arbiter_state state = atomic_load(&m->border->arbiter_state);
    if (m->state != MASTER_STOPPING && (state == ARBITER_RECOVERING || state == ARBITER_READY))
        open_control(m);
    tell_recovery(m);
    if (m->state == MASTER_STARTING && state == ARBITER_READY)
        begin_serving(m);
}

static void tick(struct master *m)
{
    atomic_store(&m->border->master_open_fds, process_open_fds());
    status_sample(m->status, m);
    watch(m);
}

/* Until something is due. */
static int wait_ms(const struct master *m, uint64_t next_tick_ns)
{
    uint64_t now = clock_monotonic_ns(), due = next_tick_ns;
    if (m->state == MASTER_STOPPING && m->stop_deadline_ns < due)
        due = m->stop_deadline_ns;
    if (child_is_waiting(&m->arbiter) && m->arbiter.start_again_ns < due)
        due = m->arbiter.start_again_ns;
    if (m->state == MASTER_SERVING && worker_set_due_ns(m) < due)
        due = worker_set_due_ns(m);
    return due <= now ? 0 : (int)((due - now) / 1000000 + 1);
}

static size_t gather_polls(const struct master *m, struct pollfd polls[static 2 + CONTROL_POLLS_MAX])
{
    polls[0] = (struct pollfd){.fd = m->signal_fd, .events = POLLIN};
    polls[1] = (struct pollfd){.fd = m->border->master_event_fd, .events = POLLIN};
    return 2 + (m->control ? control_polls(m->control, polls + 2) : 0);
}

static void supervise(struct master *m)
{
    struct pollfd polls[2 + CONTROL_POLLS_MAX];
    uint64_t next_tick_ns = 0;
    for (;;) {
        if (m->state == MASTER_STOPPING && master_go_on_stopping(m))
            return;
        if (clock_monotonic_ns() >= next_tick_ns) {
            next_tick_ns = clock_monotonic_ns() + TICK_MS * 1000000ull;
            tick(m);
        }
        size_t count = gather_polls(m, polls);
        (void)poll(polls, count, wait_ms(m, next_tick_ns));
        take_signals(m);
        follow_arbiter(m);
        if (count > 2)
            control_serve(m->control, polls + 2, count - 2);
        start_what_is_due(m);
    }
}

static int serve(struct master *m)
{
    int error = border_create(&m->border);
    if (error) {
        report_usage_error("cannot make the shared memory: %s", strerror(error));
        return EXIT_STATUS_FAILED;
    }
    m->status = status_create();
    watch_begin(m);
    block_signals(m);
    start_arbiter(m);
    supervise(m);
    control_destroy(&m->control);
    status_destroy(&m->status);
    border_destroy(&m->border);
    return m->exit_status;
}

/* Whoever sets more connections than there can be learns it now, and not from clients. */
static void check_open_files(const struct settings *settings)
{
    uint64_t limit = process_raise_open_files(), wanted = settings->max_connections;
    if (limit >= wanted + OPEN_FILES_BESIDE)
        return;
    report(REPORT_WARNING,
           "the limit of open files is %" PRIu64 ": a worker holds about %" PRIu64 " connections and not the %" PRIu64
           " of TALEA_MAX_CONNECTIONS; raise the limit (LimitNOFILE=, ulimit -Hn) or lower the setting",
           limit, limit > OPEN_FILES_BESIDE ? limit - OPEN_FILES_BESIDE : 0, wanted);
}

int master_serve(const char *config_path)
{
    struct master m = {.state = MASTER_STARTING, .config_path = config_path, .pid = getpid()};
    int status = EXIT_STATUS_FAILED;
    report_set_process("master");
    privileges_refuse_new();
    privileges_hide_memory(false); /* before it reads a token */
    if (load(&m) == 0 && open_listeners(&m) == 0) {
        privileges_hide_memory(m.settings.core_dumps);
        setproctitle("-talead: master %s", m.settings.data_dir);
        check_open_files(&m.settings);
        status = serve(&m);
    }
    forget_environment_token(&m);
    tokens_destroy(&m.tokens);
    settings_free(&m.settings);
    return status;
}
