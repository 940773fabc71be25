#include "server/offline_ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/border.h"
#include "common/exit_status.h"
#include "common/index_reader.h"
#include "common/report.h"
#include "server/submissions.h"

#define POLL_MS 50 /* a dead arbiter rings no bell */

struct offline_ledger {
    struct border *border;
    const struct settings *settings;
    pid_t arbiter; /* 0: it is gone */
    struct submissions *submissions;
    struct index_reader *index;
};

static bool arbiter_lives(struct offline_ledger *l)
{
    if (l->arbiter && waitpid(l->arbiter, NULL, WNOHANG) == l->arbiter)
        l->arbiter = 0;
    return l->arbiter != 0;
}

static int wait_until_ready(struct offline_ledger *l)
{
    struct bell *bell = &l->border->worker[0].bell;
    for (;;) {
        bell_prepare_sleep(bell);
        bool ready = atomic_load(&l->border->arbiter_state) == ARBITER_READY &&
                     atomic_load(&l->border->worker[0].ring_generation) == 1;
        if (ready)
            break;
        if (!arbiter_lives(l))
            return EIO;
        bell_wait(bell, POLL_MS);
        bell_wake_up(bell);
    }
    bell_wake_up(bell);
    return 0;
}

int offline_ledger_open(const struct settings *settings, enum index_order order, struct offline_ledger **out)
{
    struct offline_ledger *l = calloc(1, sizeof *l);
    if (!l)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    l->settings = settings;
    int error = border_create(&l->border);
    if (error == 0) {
        atomic_store(&l->border->worker[0].generation, 1);
        atomic_store(&l->border->index_order, order);
        l->arbiter = fork();
        if (l->arbiter == 0)
            arbiter_run(l->border, settings);
        error = l->arbiter < 0 ? errno : wait_until_ready(l);
    }
    if (error == 0) {
        l->submissions = submissions_create(l->border, 0, 1);
        error = index_reader_open(settings->data_dir, &l->index);
    }
    *out = l;
    int closed = error ? offline_ledger_close(out) : 0;
    (void)closed; /* what went wrong first says more */
    return error;
}

int offline_ledger_close(struct offline_ledger **ledger)
{
    struct offline_ledger *l = *ledger;
    int status = 0;
    bool good = true;
    if (!l)
        return 0;
    if (l->arbiter > 0) {
        atomic_store(&l->border->arbiter_order, ORDER_DRAIN);
        bell_ring(&l->border->arbiter_bell);
        good = waitpid(l->arbiter, &status, 0) == l->arbiter && WIFEXITED(status) &&
               WEXITSTATUS(status) == EXIT_STATUS_OK;
    }
    index_reader_close(&l->index);
    submissions_destroy(&l->submissions);
    border_destroy(&l->border);
    free(l);
    *ledger = NULL;
    return good ? 0 : EIO;
}

struct outcome {
    bool done;
    int error;
    struct verdict verdict;
};

static void on_done(void *context, enum submission_end end, const struct verdict *verdicts)
{
    struct outcome *outcome = context;
    outcome->done = true;
    outcome->error = end == SUBMISSION_DECIDED ? 0 : EIO;
    if (end == SUBMISSION_DECIDED)
        outcome->verdict = *verdicts;
}

/* Sends the message under way and waits for its verdict. */
static int submit(struct offline_ledger *l, struct verdict *out)
{
    struct outcome outcome = {0};
    struct bell *bell = &l->border->worker[0].bell;
    if (!submissions_send(l->submissions, UINT64_MAX, on_done, &outcome))
        return EIO;
    submissions_flush(l->submissions);
    while (!outcome.done) {
        bell_prepare_sleep(bell);
        if (!submissions_receive(l->submissions)) {
            if (!arbiter_lives(l))
                return EIO;
            bell_wait(bell, POLL_MS);
        }
        bell_wake_up(bell);
    }
    *out = outcome.verdict;
    return outcome.error;
}

int offline_ledger_register_asset(struct offline_ledger *l, const struct asset_definition *asset, struct verdict *out)
{
    submission_add_asset(submissions_begin(l->submissions, SUBMISSION_ASSET, 1), asset);
    return submit(l, out);
}

int offline_ledger_open_account(struct offline_ledger *l, const struct account_definition *account,
                                struct verdict *out)
{
    submission_add_account(submissions_begin(l->submissions, SUBMISSION_ACCOUNT, 1), account);
    return submit(l, out);
}

static int begin_reading(struct offline_ledger *l)
{
    return index_reader_begin(l->index, atomic_load(&l->border->index_generation));
}

int offline_ledger_meta(struct offline_ledger *l, struct index_meta *out)
{
    int error = begin_reading(l);
    if (error)
        return error;
    error = index_reader_meta(l->index, out);
    index_reader_end(l->index);
    return error;
}

int offline_ledger_has_asset(struct offline_ledger *l, struct bytes id, bool *has)
{
    uint32_t asset_no;
    int error = begin_reading(l);
    if (error)
        return error;
    error = index_find_asset(l->index, id, &asset_no);
    index_reader_end(l->index);
    *has = error == 0;
    return error == ENOENT ? 0 : error;
}
