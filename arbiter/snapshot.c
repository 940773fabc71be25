#include "arbiter/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arbiter/directory.h"
#include "arbiter/index_copy.h"
#include "common/data_dir.h"
#include "common/durable_file.h"
#include "common/exit_status.h"
#include "common/index_schema.h"
#include "common/paced_file.h"
#include "common/process.h"
#include "common/report.h"
#include "common/rfc3339.h"
#include "common/snapshot_file.h"

#include <bsd/unistd.h>

#define KEPT 2
#define TEMPORARY_NAME "snapshot.new"
#define REST_FACTOR 9 /* of the time that a copy took */
#define EVENTS_SOON_READ 2000000 /* in some seconds, by a start: beyond that no copy waits for its rest */
#define COPY_NICENESS 5 /* posts go first, but where they take all there is, it must still come to its end */

struct snapshots {
    char *data_dir;
    uint64_t every;
    uint64_t events_then; /* in the newest one, or in the ledger when a copy was started after it */
    pid_t child; /* 0: none */
    uint64_t begun_ns, ended_ns; /* the last copy; 0: never */
    uint64_t ordered, making, answered; /* orders: the last, that of the copy under way, the last that ended */
    bool answer_failed;
    uint64_t failures; /* not yet taken */
};

/*
 * About how many events the newest one holds, by its place in the log: what is
 * in it is not looked at, since nothing has proved it whole. 0: there is none.
 */
static uint64_t events_of_newest(const char *data_dir, const struct log_head *log, uint64_t events)
{
    uint64_t position, foreign;
    int error = snapshot_newest_of(data_dir, log->ledger, &position, &foreign);
    if (error || position > log->position)
        return 0;
    return (uint64_t)((double)events * (double)position / (double)log->position);
}

struct snapshots *snapshots_create(const char *data_dir, uint64_t every_events, const struct log_head *log,
                                   uint64_t events)
{
    struct snapshots *s = calloc(1, sizeof *s);
    if (!s || !(s->data_dir = strdup(data_dir)))
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    s->every = every_events;
    s->events_then = events_of_newest(data_dir, log, events);
    return s;
}

void snapshots_destroy(struct snapshots **snapshots)
{
    if (!*snapshots)
        return;
    free((*snapshots)->data_dir);
    free(*snapshots);
    *snapshots = NULL;
}

static void drop_old(const char *data_dir)
{
    uint64_t position = UINT64_MAX;
    int error = 0;
    for (int i = 0; error == 0 && i < KEPT; i++)
        error = snapshot_newest_below(data_dir, position, &position);
    while (error == 0 && (error = snapshot_newest_below(data_dir, position, &position)) == 0 && position) {
        char *path = snapshot_path(data_dir, position);
        int unremoved = paced_unlink(path);
        if (unremoved)
            report(REPORT_WARNING, "cannot remove the old snapshot %s: %s", path, strerror(unremoved));
        free(path);
    }
    if (error)
        report(REPORT_WARNING, "cannot look for old snapshots in %s: %s", data_dir, strerror(error));
}

/* --- copying, in the child --- */

/* The copy under its temporary name, its trailer behind it, synced. */
static int write_snapshot(const char *index_path, const char *temporary, struct index_meta *meta)
{
    int error = index_copy(index_path, temporary, meta);
    int fd = error ? -1 : open(temporary, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return error ? error : errno;
    error = snapshot_seal(fd, meta->position, meta->ledger);
    if (error == 0 && fsync(fd) != 0)
        error = errno;
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
    return error;
}

static int make_snapshot(const char *data_dir)
{
    struct index_meta meta = {0};
    char *folder = data_dir_path(data_dir, DATA_DIR_SNAPSHOTS);
    char *index_path = data_dir_path(data_dir, DATA_DIR_INDEX);
    char *temporary = data_dir_path(folder, TEMPORARY_NAME);
    char *final = NULL;
    int error = paced_unlink(temporary); /* of a copy that was killed */
    if (error == 0 || error == ENOENT)
        error = write_snapshot(index_path, temporary, &meta);
    if (error == 0) {
        final = snapshot_path(data_dir, meta.position);
        error = durable_rename(temporary, final);
    }
    if (error == 0)
        drop_old(data_dir);
    else if (paced_unlink(temporary) != 0)
        report(REPORT_DEBUG, "no half snapshot is left");
    if (error)
        report(REPORT_WARNING, "snapshot failed: %s; the next one is tried later, nothing is lost", strerror(error));
    free(final);
    free(temporary);
    free(index_path);
    free(folder);
    return error;
}

static pid_t start_copy(const char *data_dir)
{
    pid_t parent = getpid();
    pid_t child = fork();
    if (child < 0)
        report(REPORT_WARNING, "cannot start a snapshot: %s; the next one is tried later", strerror(errno));
    if (child != 0)
        return child < 0 ? 0 : child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_STATUS_ORPHANED);
    report_close_other_files(); /* the lock among them: a child must not hold it beyond its parent's death */
    setproctitle("-talead: snapshot %s", data_dir);
    report_set_process("snapshot");
    process_set_oom_score(OOM_SCORE_SNAPSHOT);
    if (nice(COPY_NICENESS) == -1)
        report(REPORT_DEBUG, "snapshot runs at full priority");
    _exit(make_snapshot(data_dir) ? EXIT_STATUS_FAILED : EXIT_STATUS_OK);
}

/* --- when --- */

static bool collect(struct snapshots *s, int wait_flags)
{
    int status;
    if (s->child == 0 || waitpid(s->child, &status, wait_flags) != s->child)
        return false;
    s->child = 0;
    s->ended_ns = clock_monotonic_ns();
    bool succeeded = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_STATUS_OK;
    s->failures += !succeeded;
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_STATUS_FORBIDDEN_CALL)
        report(REPORT_WARNING, "snapshot failed: its process made a forbidden system call (TALEA_SECCOMP)");
    s->answer_failed = !succeeded;
    s->answered = s->making;
    return succeeded;
}

void snapshots_order(struct snapshots *s, uint64_t order)
{
    s->ordered = order;
}

uint64_t snapshots_answered(const struct snapshots *s, bool *failed)
{
    *failed = s->answer_failed;
    return s->answered;
}

/* A ledger that grows fast would be copied all the time, and its posts pay for it. */
static bool has_rested(const struct snapshots *s)
{
    return clock_monotonic_ns() - s->ended_ns >= REST_FACTOR * (s->ended_ns - s->begun_ns);
}

/* Has enough been added since the last copy? */
static bool is_due(const struct snapshots *s, uint64_t events)
{
    uint64_t since = events - s->events_then;
    return s->every != 0 && since >= s->every && since >= events / 10 && (since >= EVENTS_SOON_READ || has_rested(s));
}

bool snapshots_follow(struct snapshots *s, uint64_t events, bool thread_runs)
{
    bool succeeded = collect(s, WNOHANG);
    bool ordered = s->ordered > s->answered;
    if (thread_runs || s->child != 0 || (!ordered && !is_due(s, events)))
        return succeeded;
    s->events_then = events;
    s->making = s->ordered;
    s->begun_ns = clock_monotonic_ns();
    s->child = start_copy(s->data_dir);
    if (s->child == 0) { /* it has said why */
        s->failures++;
        s->answer_failed = true;
        s->answered = s->making;
    }
    return succeeded;
}

uint64_t snapshots_take_failures(struct snapshots *s)
{
    uint64_t failures = s->failures;
    s->failures = 0;
    return failures;
}

bool snapshots_busy(const struct snapshots *s)
{
    return s->child != 0;
}

void snapshots_abandon(struct snapshots *s)
{
    if (s->child == 0)
        return;
    kill(s->child, SIGKILL);
    (void)collect(s, 0);
    char *folder = data_dir_path(s->data_dir, DATA_DIR_SNAPSHOTS);
    char *temporary = data_dir_path(folder, TEMPORARY_NAME);
    unlink(temporary);
    free(temporary);
    free(folder);
}

/* --- restoring --- */

/* The meta row of an environment that is one file. */
static int read_meta(const char *file, struct index_meta *meta)
{
    MDB_env *env;
    MDB_txn *txn = NULL;
    MDB_dbi table;
    MDB_val k = {5, (void *)"state"}, v;
    int error = mdb_env_create(&env);
    if (error)
        return EIO;
    error = mdb_env_set_maxdbs(env, INDEX_TABLE_COUNT);
    if (error == 0)
        error = mdb_env_open(env, file, MDB_RDONLY | MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOTLS, 0600);
    if (error == 0)
        error = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
    if (error == 0)
        error = mdb_dbi_open(txn, index_table_names[TABLE_META], 0, &table);
    if (error == 0)
        error = mdb_get(txn, table, &k, &v);
    if (error == 0 && v.mv_size == sizeof *meta)
        memcpy(meta, v.mv_data, sizeof *meta);
    else if (error == 0)
        error = EBADMSG;
    if (txn)
        mdb_txn_abort(txn);
    mdb_env_close(env);
    return error > 0 ? error : error ? EBADMSG : 0;
}

/* What stands before the trailer, proved on the way. */
static int copy_proved(const char *from, const char *to, struct progress *progress)
{
    struct snapshot_trailer trailer;
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = in < 0 ? -1 : open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int error = out < 0 ? errno : snapshot_copy(in, out, &trailer, progress);
    if (out >= 0)
        close(out);
    if (in >= 0)
        close(in);
    return error;
}

static int restore_one(const char *file, struct uuid ledger, const char *index_path, struct progress *progress)
{
    struct index_meta meta;
    char *data = data_dir_path(index_path, "data.mdb");
    int error = directory_make(index_path);
    if (error == 0)
        error = copy_proved(file, data, progress);
    if (error == 0)
        error = read_meta(data, &meta);
    if (error == 0)
        error = index_meta_check(&meta, ledger);
    if (error)
        unlink(data);
    free(data);
    return error;
}

int snapshots_restore(const char *data_dir, struct uuid ledger, const char *index_path, struct progress *progress)
{
    int error = ENOENT, unreadable = 0;
    uint64_t position = UINT64_MAX;
    while (error && (unreadable = snapshot_newest_below(data_dir, position, &position)) == 0 && position) {
        char *file = snapshot_path(data_dir, position);
        error = restore_one(file, ledger, index_path, progress);
        if (error)
            report(REPORT_WARNING, "snapshot %s cannot be used (%s): passed over", file,
                   index_error_text(error));
        else
            report(REPORT_INFO, "index restored from %s", file);
        free(file);
    }
    return unreadable ? unreadable : error ? ENOENT : 0;
}
