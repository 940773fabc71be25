#include "arbiter/group_commit.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/exit_status.h"
#include "common/report.h"
#include "common/rfc3339.h"

/*
 * Packed bytes in one group. Keeps the pages that its index transaction
 * dirties well under LMDB's limit, even when every posting of every draft is
 * on an account of its own.
 */
#define GROUP_BYTES_MAX (192u << 10)
#define EVENT_OVERHEAD_BYTES 64 /* what an event adds to book and body */
#define SLOW_TOLD_EVERY_NS 1000000000u
#define FULL_DISK_CALM_NS 1000000000u /* every group fitted for this long: there is space again */

static void decide(struct group_commit *c, const struct queued_draft *draft, int64_t now_us)
{
    struct submission *s = draft->submission;
    struct verdict *verdict = &s->verdicts[draft->index];
    switch (s->kind) {
    case SUBMISSION_POST:
        store_decide_post(c->store, draft->book, draft->packed, now_us, verdict);
        break;
    case SUBMISSION_ASSET:
        store_decide_asset(c->store, draft->packed, now_us, verdict);
        break;
    case SUBMISSION_ACCOUNT:
        store_decide_account(c->store, draft->book, draft->packed, now_us, verdict);
        break;
    }
}

static void count_verdict(struct group_commit *c, const struct verdict *verdict)
{
    struct arbiter_counters *counters = &c->border->arbiter;
    counter_add(verdict->deduplicated ? &counters->replays : &counters->verdicts[verdict->code], 1);
}

/* Every draft of the group has its verdict: count them, and answer the submissions that are complete. */
static void answer(struct group_commit *c, const struct queued_draft *group, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct submission *s = group[i].submission;
        count_verdict(c, &s->verdicts[group[i].index]);
        assert(s->undecided > 0);
        if (--s->undecided == 0)
            worker_links_answer(c->links, s);
    }
}

/* Nothing was decided and nothing written: the same key tried again later will do. */
static void answer_unavailable(struct group_commit *c, const struct queued_draft *group, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        group[i].submission->verdicts[group[i].index].code = VERDICT_UNAVAILABLE;
    answer(c, group, count);
    worker_links_ring_bells(c->links, false);
}

static void commit_failed(const char *what, int error)
{
    report_fatal(EXIT_STATUS_COMMIT_FAILED,
                 "%s failed: %s; nothing of this group is acknowledged, the restart proves the log's tail", what,
                 strerror(error));
}

/* Said once: on a disk that is all but full a smaller group may fit, and the next one not. */
static void meet_full_disk(struct group_commit *c)
{
    if (!c->disk_full)
        report(REPORT_ERROR, "no space for log and index in %s: posts are answered 503 until there is; reads go on",
               c->settings->data_dir);
    c->disk_full = true;
    c->disk_full_met_ns = clock_monotonic_ns();
}

static void meet_room(struct group_commit *c)
{
    if (!c->disk_full || clock_monotonic_ns() - c->disk_full_met_ns < FULL_DISK_CALM_NS)
        return;
    report(REPORT_INFO, "there is space again: posts are taken");
    c->disk_full = false;
}

/* True when there is room for the batch. A full disk refuses the group. */
static bool reserve(struct group_commit *c, const struct queued_draft *group, uint32_t count)
{
    uint64_t bytes = 0, postings = 0, definitions = 0;
    for (uint32_t i = 0; i < count; i++) {
        bytes += group[i].book.len + group[i].packed.len + EVENT_OVERHEAD_BYTES;
        if (group[i].submission->kind == SUBMISSION_POST)
            postings += draft_packed_posting_count(group[i].packed);
        else
            definitions += group[i].book.len + group[i].packed.len;
    }
    int error = store_reserve(c->store, count, postings, definitions);
    if (error == 0)
        error = log_writer_reserve(c->log, bytes);
    if (error == ENOSPC || error == EDQUOT) {
        meet_full_disk(c);
        return false;
    }
    if (error)
        commit_failed("making room in log and index", error);
    meet_room(c);
    return true;
}

/* Returns how long fdatasync took. */
static uint64_t make_durable(struct group_commit *c, int64_t now_us)
{
    uint64_t sync_ns;
    int error = log_writer_append(c->log, store_payload(c->store), store_event_count(c->store), now_us, &sync_ns);
    if (error)
        commit_failed("writing the log", error);
    fast_count(&c->border->arbiter.fdatasync_duration, sync_ns);
    const struct log_head *head = log_writer_head(c->log);
    struct log_mark mark = {head->position, head->next_batch, head->chain, head->ledger};
    error = store_commit(c->store, &mark);
    if (error)
        commit_failed("writing the index", error);
    atomic_store(&c->border->durable_position, head->position);
    return sync_ns;
}

/* A disk that has become slow makes every group slow: one line a second says as much. */
static void tell_if_slow(struct group_commit *c, uint32_t drafts, uint64_t duration_ns, uint64_t sync_ns)
{
    if (c->settings->slow_commit_ms == 0 || duration_ns <= c->settings->slow_commit_ms * 1000000)
        return;
    uint64_t now_ns = clock_monotonic_ns();
    if (c->slow_told_ns && now_ns - c->slow_told_ns < SLOW_TOLD_EVERY_NS) {
        c->slow_untold++;
        return;
    }
    const struct report_field fields[] = {
        report_count("drafts", drafts),
        report_ms("duration_ms", duration_ns),
        report_ms("fdatasync_ms", sync_ns),
        report_count("suppressed", c->slow_untold),
    };
    report_fields(REPORT_WARNING, fields, sizeof fields / sizeof *fields, "slow group commit");
    c->slow_told_ns = now_ns;
    c->slow_untold = 0;
}

void group_commit_run(struct group_commit *c)
{
    uint32_t count;
    uint64_t begin_ns = clock_monotonic_ns();
    const struct queued_draft *group =
        write_queue_take(c->queue, c->settings->write_batch_max, GROUP_BYTES_MAX, &count);
    if (!reserve(c, group, count)) {
        answer_unavailable(c, group, count);
        return;
    }
    int64_t now_us = clock_now_us();
    store_begin(c->store, log_writer_head(c->log)->position);
    for (uint32_t i = 0; i < count; i++)
        decide(c, &group[i], now_us);
    bool wrote = store_event_count(c->store) > 0;
    uint64_t sync_ns = wrote ? make_durable(c, now_us) : 0;
    answer(c, group, count);
    worker_links_ring_bells(c->links, wrote);
    size_count(&c->border->arbiter.group_size, count);
    uint64_t duration_ns = clock_monotonic_ns() - begin_ns;
    fast_count(&c->border->arbiter.group_duration, duration_ns);
    tell_if_slow(c, count, duration_ns, sync_ns);
}
