/*
 * The arbiter process: takes the directory's lock, recovers, then loops: drain
 * the rings, commit groups, keep house. One thread decides all; another may
 * write and sync a batch meanwhile; snapshots are made by a child process.
 *
 * It ends when the master orders it to (ORDER_DRAIN: the queue is worked off,
 * the log sealed, the index marked clean), when the master dies, or when a
 * batch could not be made durable.
 */
#include "common/border.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <bsd/unistd.h>

#include "arbiter/arbiter_calls.h"
#include "arbiter/directory.h"
#include "arbiter/group_commit.h"
#include "arbiter/recovery.h"
#include "arbiter/snapshot.h"
#include "common/data_dir.h"
#include "common/exit_status.h"
#include "common/privileges.h"
#include "common/process.h"
#include "common/report.h"
#include "common/rfc3339.h"

#define LOCK_WAIT_FIRST_MS 1000
#define LOCK_WAIT_RESTART_MS 10000
#define LOCK_RETRY_MS 10
#define HOUSEKEEPING_MS 1000
#define SNAPSHOT_POLL_MS 100
#define DEEPEST_KEPT_NS 1000000000u

struct arbiter {
    struct group_commit commit;
    struct snapshots *snapshots;
    struct border *border;
    const struct settings *settings;
    bool spill_failed;
    uint64_t snapshots_wanted; /* orders that were passed on */
    struct ledger_head head;
    uint64_t fds_told_ns; /* when the open descriptors were told last */
    uint64_t deepest_since_ns; /* head's deepest queue is the deepest since then */
};

static void set_state(struct border *border, enum arbiter_state state)
{
    atomic_store(&border->arbiter_state, state);
    uint64_t one = 1;
    ssize_t done = write(border->master_event_fd, &one, sizeof one);
    (void)done; /* an eventfd that is full wakes its reader all the same */
    for (uint32_t n = 0; n < WORKER_MAX; n++)
        bell_ring(&border->worker[n].bell);
}

static struct bell *own_bell;

static void on_log_moved(int signal_number)
{
    (void)signal_number;
    report_reopen_soon();
    bell_ring_anyway(own_bell);
}

/*
 * Signals are the master's: Ctrl-C reaches the whole process group, but the
 * arbiter leaves last, on order. SIGUSR1 alone it takes, and no system call of
 * a commit may fail because of it.
 */
static void leave_signals_to_master(struct border *border)
{
    static const int ignored[] = {SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGPIPE, SIGUSR2, SIGTTIN, SIGTTOU};
    struct sigaction log_moved = {.sa_handler = on_log_moved, .sa_flags = SA_RESTART};
    own_bell = &border->arbiter_bell;
    sigaction(SIGUSR1, &log_moved, NULL);
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        signal(ignored[i], SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void give_up_privileges(struct border *border, const struct settings *settings)
{
    privileges_refuse_new();
    privileges_hide_memory(settings->core_dumps);
    if (privileges_drop_capabilities(settings->data_dir, settings->log_file))
        report(REPORT_WARNING, "the ledger or the log file is another user's: CAP_DAC_OVERRIDE is kept for it; "
                               "run talead as the user that owns both");
    int error = settings->seccomp ? arbiter_calls_confine(&border->arbiter_forbidden_call) : 0;
    if (error)
        report(REPORT_WARNING, "no filter of system calls: %s (seccomp(2)); TALEA_SECCOMP=no asks for none",
               strerror(error));
}

static void die_with_master(pid_t master)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != master)
        _exit(EXIT_STATUS_ORPHANED);
}

/* A predecessor that was just killed may hold the lock for a moment longer. */
static void take_lock(struct border *border, const char *data_dir)
{
    int patience_ms = atomic_load(&border->arbiter_epoch) == 0 ? LOCK_WAIT_FIRST_MS : LOCK_WAIT_RESTART_MS;
    int error;
    while ((error = data_dir_lock(data_dir)) == EWOULDBLOCK && patience_ms > 0) {
        nanosleep(&(struct timespec){.tv_nsec = LOCK_RETRY_MS * 1000000L}, NULL);
        patience_ms -= LOCK_RETRY_MS;
    }
    if (error == EWOULDBLOCK) {
        report_usage_error("data dir already locked by another process: %s", data_dir);
        _exit(EXIT_STATUS_LOCKED);
    }
    if (error)
        report_fatal(EXIT_STATUS_FAILED, "cannot lock %s/LOCK: %s", data_dir, strerror(error));
}

static void recover_or_exit(struct arbiter *a)
{
    const char *dir = a->settings->data_dir;
    int error = directory_prepare(dir);
    if (error)
        report_fatal(EXIT_STATUS_FAILED, "cannot make the data directory %s: %s", dir, strerror(error));
    take_lock(a->border, dir);
    set_state(a->border, ARBITER_RECOVERING);
    error = recover_ledger(a->border, a->settings, &a->commit.store, &a->commit.log);
    if (error)
        _exit(error == EUCLEAN ? EXIT_STATUS_CORRUPT : EXIT_STATUS_FAILED);
}

/* Of the queues as they are before a group is taken; the deepest of a second is shown. */
static void note_deepest(struct arbiter *a)
{
    struct ledger_head *head = &a->head;
    struct bytes book = {0};
    uint64_t now = clock_monotonic_ns();
    if (now - a->deepest_since_ns >= DEEPEST_KEPT_NS) {
        head->deepest_drafts = head->deepest_length = 0;
        a->deepest_since_ns = now;
    }
    if (write_queue_count(a->commit.queue) <= head->deepest_drafts)
        return;
    uint64_t drafts = write_queue_deepest(a->commit.queue, &book);
    if (drafts <= head->deepest_drafts)
        return;
    head->deepest_drafts = drafts;
    head->deepest_length = book.len;
    memcpy(head->deepest_book, book.base, book.len < sizeof head->deepest_book ? book.len : sizeof head->deepest_book);
}

static void publish_head(struct arbiter *a, const struct store_figures *figures)
{
    const struct log_head *log = log_writer_head(a->commit.log);
    a->head.ledger = log->ledger;
    a->head.chain = log->chain;
    a->head.position = log->position;
    a->head.next_batch = log->next_batch;
    a->head.books = figures->books;
    a->head.accounts = figures->accounts;
    a->head.events = figures->events;
    border_publish_head(a->border, &a->head);
}

static void publish_figures(struct arbiter *a)
{
    struct arbiter_counters *counters = &a->border->arbiter;
    struct store_figures figures;
    store_read_figures(a->commit.store, &figures);
    publish_head(a, &figures);
    atomic_store(&counters->events, figures.events);
    atomic_store(&counters->idempotency_hot_keys, figures.hot_keys);
    atomic_store(&counters->idempotency_spilled_keys, figures.spilled_keys);
    atomic_store(&counters->log_bytes, log_writer_head(a->commit.log)->position);
    atomic_store(&counters->queue_depth, write_queue_count(a->commit.queue));
    atomic_store(&counters->active_books, write_queue_books(a->commit.queue));
}

static void begin(struct arbiter *a)
{
    struct border *border = a->border;
    uint64_t epoch = atomic_fetch_add(&border->arbiter_epoch, 1) + 1;
    struct store_figures figures;
    group_commit_prepare(&a->commit);
    a->commit.queue = write_queue_create(a->settings->write_queue_depth);
    a->commit.links = worker_links_create(border, epoch);
    store_read_figures(a->commit.store, &figures);
    a->snapshots = snapshots_create(a->settings->data_dir, a->settings->log_snapshot_every,
                                    log_writer_head(a->commit.log), figures.events);
    worker_links_follow_generations(a->commit.links);
    snapshots_follow(a->snapshots, figures.events, store_spills(a->commit.store));
    atomic_fetch_add(&border->index_generation, 1);
    atomic_store(&border->durable_position, log_writer_head(a->commit.log)->position);
    publish_figures(a);
    atomic_store(&border->arbiter_alive_ns, clock_monotonic_ns());
    set_state(border, ARBITER_READY);
}

/* An arbiter that takes over answers the orders that died with the one before it. */
static void follow_snapshots(struct arbiter *a, uint64_t events)
{
    struct border *border = a->border;
    bool failed;
    a->snapshots_wanted = atomic_load(&border->snapshots_wanted);
    if (a->snapshots_wanted > atomic_load(&border->snapshots_answered))
        snapshots_order(a->snapshots, a->snapshots_wanted);
    if (snapshots_follow(a->snapshots, events, store_spills(a->commit.store)))
        counter_add(&border->arbiter.snapshots, 1);
    counter_add(&border->arbiter.snapshot_failures, snapshots_take_failures(a->snapshots));
    uint64_t answered = snapshots_answered(a->snapshots, &failed);
    if (answered > atomic_load(&border->snapshots_answered)) {
        atomic_store(&border->snapshot_failed, failed);
        atomic_store(&border->snapshots_answered, answered);
    }
}

static void tell_open_fds(struct arbiter *a, uint64_t now)
{
    if (now - a->fds_told_ns < HOUSEKEEPING_MS * 1000000ull)
        return;
    a->fds_told_ns = now;
    atomic_store_explicit(&a->border->arbiter_open_fds, process_open_fds(), memory_order_relaxed);
}

static void keep_house(struct arbiter *a)
{
    struct store_figures figures;
    uint64_t now = clock_monotonic_ns();
    atomic_store_explicit(&a->border->arbiter_alive_ns, now, memory_order_relaxed);
    tell_open_fds(a, now);
    int error = store_maintain(a->commit.store);
    if (error && !a->spill_failed)
        report(REPORT_WARNING, "cannot spill idempotency keys: %s; they stay in memory until it succeeds",
               strerror(error));
    a->spill_failed = error != 0;
    store_read_figures(a->commit.store, &figures);
    follow_snapshots(a, figures.events);
    publish_figures(a);
}

static bool draining(const struct arbiter *a)
{
    return atomic_load(&a->border->arbiter_order) == ORDER_DRAIN;
}

/* Nothing waits. Fills the log ahead if need be, then sleeps until somebody rings. */
static void rest(struct arbiter *a)
{
    struct bell *bell = &a->border->arbiter_bell;
    if (log_writer_wants_room(a->commit.log)) {
        int error = log_writer_reserve(a->commit.log, 1u << 20);
        if (error && error != ENOSPC && error != EDQUOT)
            report_fatal(EXIT_STATUS_COMMIT_FAILED, "filling the log ahead failed: %s", strerror(error));
    }
    bell_prepare_sleep(bell);
    if (worker_links_idle(a->commit.links) && !draining(a) &&
        atomic_load(&a->border->snapshots_wanted) == a->snapshots_wanted)
        bell_wait(bell, snapshots_busy(a->snapshots) ? SNAPSHOT_POLL_MS : HOUSEKEEPING_MS);
    bell_wake_up(bell);
}

static void run(struct arbiter *a)
{
    struct group_commit *c = &a->commit;
    for (;;) {
        report_reopen_if_told();
        if (worker_links_follow_generations(c->links))
            store_clear_dead_readers(c->store);
        worker_links_drain(c->links, c->queue);
        if (!group_commit_is_idle(c)) {
            note_deepest(a);
            group_commit_run(c);
            keep_house(a);
        } else if (draining(a)) {
            return;
        } else {
            worker_links_ring_bells(c->links, false);
            keep_house(a);
            rest(a);
        }
    }
}

/* A clean stop: the next start trusts the index as it is, on any boot. */
static void stop(struct arbiter *a)
{
    set_state(a->border, ARBITER_STOPPING);
    snapshots_abandon(a->snapshots);
    int error = log_writer_seal(a->commit.log, clock_now_us());
    if (error)
        report_fatal(EXIT_STATUS_COMMIT_FAILED, "sealing the log failed: %s", strerror(error));
    error = store_seal(a->commit.store);
    if (error)
        report(REPORT_WARNING, "cannot mark the index clean: %s; the next start rebuilds it", strerror(error));
    report(REPORT_INFO, "stopped at log position %" PRIu64, log_writer_head(a->commit.log)->position);
    group_commit_release(&a->commit);
    worker_links_destroy(&a->commit.links);
    write_queue_destroy(&a->commit.queue);
    snapshots_destroy(&a->snapshots);
    store_close(&a->commit.store);
    log_writer_close(&a->commit.log);
}

void arbiter_run(struct border *border, const struct settings *settings)
{
    struct arbiter a = {
        .border = border,
        .settings = settings,
        .commit = {.border = border, .settings = settings},
    };
    die_with_master(getppid());
    leave_signals_to_master(border);
    report_set_process("arbiter");
    setproctitle("-talead: arbiter %s", settings->data_dir);
    give_up_privileges(border, settings);
    recover_or_exit(&a);
    begin(&a);
    run(&a);
    stop(&a);
    _exit(EXIT_STATUS_OK); /* what the parent had buffered for its standard output is the parent's */
}
