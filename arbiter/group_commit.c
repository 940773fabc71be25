#include "arbiter/group_commit.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
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
#define PLENTY_DRAFTS 100 /* more of them share a sync than it is worth waiting for */
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
static void answer(struct group_commit *c, const struct group *g, bool wrote)
{
    const struct draft_list *taken = &g->taken;
    for (uint32_t i = 0; i < taken->count; i++) {
        struct submission *s = taken->drafts[i].submission;
        count_verdict(c, &s->verdicts[taken->drafts[i].index]);
        STAGE_TAKE_OVER(s->stages, g->stages);
        assert(s->undecided > 0);
        if (--s->undecided == 0)
            worker_links_answer(c->links, s);
    }
    worker_links_ring_bells(c->links, wrote);
}

/* Nothing was decided and nothing written: the same key tried again later will do. */
static void answer_unavailable(struct group_commit *c, const struct group *g)
{
    for (uint32_t i = 0; i < g->taken.count; i++)
        g->taken.drafts[i].submission->verdicts[g->taken.drafts[i].index].code = VERDICT_UNAVAILABLE;
    answer(c, g, false);
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

/* 0, EBUSY while what is under way must end first, or ENOSPC. */
static int reserve(struct group_commit *c, const struct draft_list *taken)
{
    uint64_t bytes = 0, postings = 0, definitions = 0;
    for (uint32_t i = 0; i < taken->count; i++) {
        const struct queued_draft *draft = &taken->drafts[i];
        bytes += draft->book.len + draft->packed.len + EVENT_OVERHEAD_BYTES;
        if (draft->submission->kind == SUBMISSION_POST)
            postings += draft_packed_posting_count(draft->packed);
        else
            definitions += draft->book.len + draft->packed.len;
    }
    int error = store_reserve(c->store, taken->count, postings, definitions);
    if (error == 0)
        error = log_writer_reserve(c->log, bytes);
    if (error == EDQUOT)
        error = ENOSPC;
    if (error && error != EBUSY && error != ENOSPC)
        commit_failed("making room in log and index", error);
    return error;
}

/* --- the steps of one group --- */

/*
 * Of what waits no more than half, where that is plenty: the other half is decided while this one is on its way to
 * the disk. One group of all would leave nothing to do meanwhile.
 */
static uint64_t most_of_a_book(const struct group_commit *c)
{
    uint64_t half = write_queue_count(c->queue) / 2;
    uint64_t most = half > PLENTY_DRAFTS ? half : PLENTY_DRAFTS;
    return most < c->settings->write_batch_max ? most : c->settings->write_batch_max;
}

static void take(struct group_commit *c, struct group *g)
{
    g->begin_ns = clock_monotonic_ns();
    STAGE_CLEAR(g->stages);
    STAGE_MARK(g->stages, STAGE_TAKEN);
    write_queue_take(c->queue, most_of_a_book(c), GROUP_BYTES_MAX, &g->taken);
}

/* A full disk refuses the group. */
static void decide_group(struct group_commit *c, struct group *g)
{
    int error = reserve(c, &g->taken);
    if (error == EBUSY)
        return;
    if (error == ENOSPC) {
        meet_full_disk(c);
        answer_unavailable(c, g);
        g->taken.count = 0;
        return;
    }
    meet_room(c);
    g->now_us = clock_now_us();
    store_begin(c->store, log_writer_next(c->log)->position);
    for (uint32_t i = 0; i < g->taken.count; i++)
        decide(c, &g->taken.drafts[i], g->now_us);
    g->event_count = store_event_count(c->store);
    g->decided = true;
    STAGE_MARK(g->stages, STAGE_DECIDED);
}

/* Nothing is under way on the disk. */
static void begin_to_write(struct group_commit *c, struct group *g, bool goes_on_meanwhile)
{
    if (g->event_count == 0)
        return;
    log_writer_begin(c->log, store_payload(c->store), g->event_count, g->now_us, goes_on_meanwhile);
    const struct log_head *end = log_writer_next(c->log);
    g->end = (struct log_mark){end->position, end->next_batch, end->chain, end->ledger};
}

/* Into a transaction that nobody sees before its commit. */
static void write_rows(struct group_commit *c, const struct group *g)
{
    int error = g->event_count ? store_write(c->store, &g->end) : 0;
    if (error)
        commit_failed("writing the index", error);
}

static void await_disk(struct group_commit *c, struct group *g)
{
    g->sync_ns = 0;
    int error = g->event_count ? log_writer_end(c->log, &g->sync_ns) : 0;
    if (error)
        commit_failed("writing the log", error);
    if (g->event_count)
        fast_count(&c->border->arbiter.fdatasync_duration, g->sync_ns);
    STAGE_MARK(g->stages, STAGE_DURABLE);
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

/* The batch is durable: show it, and answer. */
static void settle(struct group_commit *c, struct group *g)
{
    bool wrote = g->event_count > 0;
    int error = wrote ? store_commit(c->store) : 0;
    if (error)
        commit_failed("committing the index", error);
    if (wrote)
        atomic_store(&c->border->durable_position, g->end.position);
    STAGE_MARK(g->stages, STAGE_SHOWN);
    answer(c, g, wrote);
    size_count(&c->border->arbiter.group_size, g->taken.count);
    uint64_t duration_ns = clock_monotonic_ns() - g->begin_ns;
    fast_count(&c->border->arbiter.group_duration, duration_ns);
    tell_if_slow(c, g->taken.count, duration_ns, g->sync_ns);
    g->taken.count = 0;
    g->decided = false;
}

/* --- two groups at a time --- */

void group_commit_prepare(struct group_commit *c)
{
    c->under_way = &c->groups[0];
    c->next = &c->groups[1];
}

void group_commit_release(struct group_commit *c)
{
    for (size_t i = 0; i < sizeof c->groups / sizeof *c->groups; i++)
        free(c->groups[i].taken.drafts);
}

bool group_commit_is_idle(const struct group_commit *c)
{
    return c->under_way->taken.count == 0 && c->next->taken.count == 0 && write_queue_count(c->queue) == 0;
}

static void swap_groups(struct group_commit *c)
{
    struct group *settled = c->under_way;
    c->under_way = c->next;
    c->next = settled;
}

/* To decide much of a group takes longer than to change threads twice; to wait for posts to come does not pay. */
static bool goes_on_meanwhile(const struct group_commit *c)
{
    uint64_t full = c->settings->write_batch_max;
    return c->next->decided && 2 * write_queue_count(c->queue) >= (full < 2 * PLENTY_DRAFTS ? full : 2 * PLENTY_DRAFTS);
}

/*
 * When drafts wait already, a thread writes the group while the next one is
 * decided; it is begun as soon as the disk is free, before the one ahead of it
 * is shown and answered.
 */
void group_commit_run(struct group_commit *c)
{
    struct group *before = c->under_way, *next = c->next;
    if (next->taken.count == 0 && write_queue_count(c->queue) > 0)
        take(c, next);
    if (next->taken.count > 0 && !next->decided)
        decide_group(c, next);
    bool meanwhile = goes_on_meanwhile(c);
    if (before->taken.count > 0)
        await_disk(c, before);
    if (meanwhile)
        begin_to_write(c, next, true);
    if (before->taken.count > 0)
        settle(c, before);
    if (!next->decided)
        return;
    swap_groups(c);
    if (!meanwhile) {
        begin_to_write(c, next, false);
        await_disk(c, next);
    }
    write_rows(c, next);
    if (!meanwhile)
        settle(c, next);
}
