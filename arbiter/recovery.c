#include "arbiter/recovery.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arbiter/directory.h"
#include "arbiter/snapshot.h"
#include "common/data_dir.h"
#include "common/index_schema.h"
#include "common/index_state.h"
#include "common/report.h"
#include "common/rfc3339.h"
#include "common/snapshot_file.h"

struct recovering {
    struct border *border;
    const struct settings *settings;
    char *index_path;
    struct uuid ledger;
    uint64_t witness; /* the highest position that something durable has seen */
    const char *witness_name;
};

static void see_witness(struct recovering *r, uint64_t position, const char *name)
{
    if (position > r->witness) {
        r->witness = position;
        r->witness_name = name;
    }
}

/* For the master, who tells the service manager. */
static void tell_master(struct border *border, enum recovery_step step, unsigned percent, uint64_t seconds_left)
{
    atomic_store(&border->recovery_step, step);
    atomic_store(&border->recovery_percent, percent);
    atomic_store(&border->recovery_seconds_left, seconds_left);
    uint64_t one = 1;
    ssize_t done = write(border->master_event_fd, &one, sizeof one);
    (void)done; /* an eventfd that is full wakes its reader all the same */
}

static void tell_restore(void *border, unsigned percent, uint64_t seconds_left)
{
    tell_master(border, RECOVERY_RESTORING, percent, seconds_left);
}

static void tell_replay(void *border, unsigned percent, uint64_t seconds_left)
{
    tell_master(border, RECOVERY_REPLAYING, percent, seconds_left);
}

/* A folder that cannot be read is not an empty one: its newest snapshot is a witness. */
static int snapshots_unreadable(const struct recovering *r, int error)
{
    report(REPORT_ERROR, "cannot read %s/" DATA_DIR_SNAPSHOTS ": %s", r->settings->data_dir, strerror(error));
    return error;
}

static int see_snapshot(struct recovering *r)
{
    uint64_t position, foreign;
    int error = snapshot_newest_of(r->settings->data_dir, r->ledger, &position, &foreign);
    if (error)
        return snapshots_unreadable(r, error);
    if (foreign) {
        char *path = snapshot_path(r->settings->data_dir, foreign);
        report(REPORT_WARNING, "%s is another ledger's snapshot: it is not believed; remove it", path);
        free(path);
    }
    see_witness(r, position, "newest snapshot");
    return 0;
}

/* A new ledger, unless something says that there was one. */
static int create_ledger(struct recovering *r)
{
    struct log_head head;
    uint64_t snapshot;
    int error = snapshot_newest_below(r->settings->data_dir, UINT64_MAX, &snapshot);
    if (error)
        return snapshots_unreadable(r, error);
    char *keys = data_dir_path(r->settings->data_dir, DATA_DIR_IDEMPOTENCY);
    bool remains = access(r->index_path, F_OK) == 0 || access(keys, F_OK) == 0 || snapshot != 0;
    free(keys);
    if (remains) {
        report(REPORT_ERROR,
               "%s has an index, snapshots or idempotency keys but no log: the folder %s/" DATA_DIR_LOG
               " is missing or empty; restore it from a backup",
               r->settings->data_dir, r->settings->data_dir);
        return EUCLEAN;
    }
    error = log_create(r->settings->data_dir, &head);
    if (error) {
        report(REPORT_ERROR, "cannot create the log in %s: %s", r->settings->data_dir, strerror(error));
        return error;
    }
    r->ledger = head.ledger;
    report(REPORT_INFO, "new ledger created in %s", r->settings->data_dir);
    return 0;
}

/* Throws an unusable index away and puts the newest snapshot in its place, or nothing. */
static int replace_index(struct recovering *r, const char *why, bool by_snapshot)
{
    struct progress progress;
    if (why)
        report(REPORT_WARNING, "the index in %s is thrown away (%s) and rebuilt from the log", r->index_path, why);
    int error = directory_empty(r->settings->data_dir, DATA_DIR_INDEX);
    if (error) {
        report(REPORT_ERROR, "cannot empty %s: %s", r->index_path, strerror(error));
        return error;
    }
    if (!by_snapshot)
        return 0;
    progress_begin(&progress, recovery_step_words(RECOVERY_RESTORING), tell_restore, r->border);
    error = snapshots_restore(r->settings->data_dir, r->ledger, r->index_path, &progress);
    return error == ENOENT ? 0 : error;
}

static int remove_keys(struct recovering *r)
{
    int error = directory_remove(r->settings->data_dir, DATA_DIR_IDEMPOTENCY);
    if (error)
        report(REPORT_ERROR, "cannot remove %s/" DATA_DIR_IDEMPOTENCY ": %s", r->settings->data_dir, strerror(error));
    return error;
}

static int open_store(struct recovering *r, struct store **store, bool *has_mark, struct log_mark *mark)
{
    const char *why = NULL;
    uint64_t cap = r->settings->log_idem_hot_cap;
    uint64_t sealed_at; /* by a clean stop; 0: there was none */
    bool usable = index_state_usable(r->index_path, r->ledger, &sealed_at, &why);
    int error = 0;
    enum index_order order = atomic_load(&r->border->index_order);
    if (order != INDEX_TRUST) {
        usable = false;
        why = order == INDEX_REBUILD ? "as ordered" : "the arbiter before this one died of it";
        error = remove_keys(r); /* it may as well have been these */
    }
    /* An index that is opened says itself what it has seen, and STATE, which has no CRC, is held against it. */
    if (!usable)
        see_witness(r, sealed_at, "clean stop");
    if (error == 0 && !usable)
        error = replace_index(r, why, order != INDEX_REBUILD);
    why = NULL;
    if (error == 0)
        error = store_open(r->settings->data_dir, r->ledger, cap, store, has_mark, mark);
    if (error == 0 && usable && sealed_at != 0 && store_index_position(*store) != sealed_at) {
        store_close(store);
        why = "its STATE tells of another position than it holds";
        error = EUCLEAN;
    }
    /* What LMDB itself takes for broken, or what holds no state of ours: once more without it. */
    if (error && error != ENOSPC && error != EDQUOT && error != ENOMEM) {
        error = replace_index(r, why ? why : index_error_text(error), true);
        if (error == 0)
            error = store_open(r->settings->data_dir, r->ledger, cap, store, has_mark, mark);
    }
    if (error)
        report(REPORT_ERROR, "cannot open the index in %s: %s", r->index_path, strerror(error));
    return error;
}

static int replay_batch(void *store, const struct batch_header *header, struct bytes payload,
                        const struct log_mark *after)
{
    return store_replay_batch(store, header, payload, after);
}

static int replay(struct recovering *r, struct store *store, const struct log_mark *mark, struct recovered_log *log)
{
    int error = see_snapshot(r);
    if (error)
        return error;
    see_witness(r, store_index_position(store), "index");
    see_witness(r, store_keys_position(store), "idempotency index");
    struct log_recovery_plan plan = {
        .from = mark,
        .witness = r->witness,
        .witness_name = r->witness_name,
        .visit = replay_batch,
        .context = store,
        .progress = tell_replay,
        .progress_context = r->border,
    };
    error = log_recover(r->settings->data_dir, &plan, log);
    return error ? error : store_replay_end(store);
}

static int recover(struct recovering *r, struct store **store, struct log_writer **writer)
{
    bool has_mark;
    struct log_mark mark;
    struct recovered_log log;
    int error = log_identify(r->settings->data_dir, &r->ledger);
    if (error == ENOENT)
        error = create_ledger(r);
    if (error)
        return error;
    error = open_store(r, store, &has_mark, &mark);
    if (error)
        return error;
    error = replay(r, *store, has_mark ? &mark : NULL, &log);
    if (error)
        return error;
    error = log_writer_open(r->settings->data_dir, &log.head, log.last_batch, log.segment_sealed,
                            r->settings->log_segment_max, writer);
    if (error)
        report(REPORT_ERROR, "cannot open the log for writing: %s", strerror(error));
    return error;
}

int recover_ledger(struct border *border, const struct settings *settings, struct store **store, struct log_writer **log)
{
    struct recovering r = {.border = border, .settings = settings, .witness_name = "log"};
    uint64_t begin = clock_monotonic_ns();
    r.index_path = data_dir_path(settings->data_dir, DATA_DIR_INDEX);
    *store = NULL;
    *log = NULL;
    int error = recover(&r, store, log);
    free(r.index_path);
    if (error) {
        store_close(store);
        log_writer_close(log);
        return error;
    }
    struct store_figures figures;
    store_read_figures(*store, &figures);
    report(REPORT_INFO, "recovered: %" PRIu64 " events, log position %" PRIu64 ", in %" PRIu64 " ms", figures.events,
           log_writer_head(*log)->position, (clock_monotonic_ns() - begin) / 1000000);
    return 0;
}
