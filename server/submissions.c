#include "server/submissions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "common/exit_status.h"
#include "common/report.h"
#include "common/rfc3339.h"
#include "common/settings.h"

#define RINGS_WAIT_MAX_NS 1000000000ull
#define RINGS_LOOK_AGAIN_MS 20 /* an arbiter that dies rings no bell */

_Static_assert(sizeof(struct completion_head) + HTTP_BATCH_MAX_MAX * sizeof(struct verdict) +
                       4 * RING_RECORD_OVERHEAD <= COMPLETION_RING_BYTES / 2,
               "the answer to the largest batch must fit the ring, or its worker is killed over it");

/*
 * Stays in the list until its completion has come (or its arbiter is gone),
 * even when nobody waits for it any more: so long it holds room in the
 * completion ring, which the arbiter must never find full.
 */
struct waiting {
    submission_done_fn *done; /* NULL: forgotten, or timed out */
    void *context;
    uint32_t count;
    uint64_t request_id;
    uint64_t epoch;
    uint64_t deadline_ns;
    struct waiting *next, *prev;
};

struct submissions {
    struct border *border;
    struct worker_slot *slot;
    uint32_t worker;
    uint32_t generation;
    bool attached; /* the arbiter has reset the rings for this generation */
    bool sent;     /* since the last flush */
    struct ring out, in;
    uint64_t next_request;
    uint64_t epoch;          /* of the arbiter, as last seen */
    uint64_t reserved_bytes; /* of the completion ring, by what waits */
    struct buffer message, completion;
    struct waiting *waiting; /* in the order they were sent */
};

struct submissions *submissions_create(struct border *border, uint32_t worker, uint32_t generation)
{
    struct submissions *s = calloc(1, sizeof *s);
    if (!s)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    s->border = border;
    s->slot = &border->worker[worker];
    s->worker = worker;
    s->generation = generation;
    s->next_request = 1;
    return s;
}

void submissions_destroy(struct submissions **submissions)
{
    struct submissions *s = *submissions;
    struct waiting *w, *next;
    if (!s)
        return;
    DL_FOREACH_SAFE(s->waiting, w, next)
    {
        free(w);
    }
    buffer_free(&s->message);
    buffer_free(&s->completion);
    free(s);
    *submissions = NULL;
}

static bool attach(struct submissions *s)
{
    if (s->attached)
        return true;
    if (atomic_load(&s->slot->ring_generation) != s->generation)
        return false;
    ring_attach_producer(&s->out, &s->slot->submissions, border_submission_bytes(s->border, s->worker),
                         SUBMISSION_RING_BYTES);
    ring_attach_consumer(&s->in, &s->slot->completions, border_completion_bytes(s->border, s->worker),
                         COMPLETION_RING_BYTES);
    s->epoch = atomic_load(&s->border->arbiter_epoch);
    s->attached = true;
    return true;
}

void submissions_await_rings(struct submissions *s)
{
    struct bell *bell = &s->slot->bell;
    uint64_t begun = clock_monotonic_ns();
    for (;;) {
        bell_prepare_sleep(bell);
        if (attach(s) || atomic_load(&s->border->arbiter_state) != ARBITER_READY ||
            atomic_load(&s->slot->order) != ORDER_RUN || clock_monotonic_ns() - begun > RINGS_WAIT_MAX_NS)
            break;
        bell_wait(bell, RINGS_LOOK_AGAIN_MS);
        bell_wake_up(bell);
    }
    bell_wake_up(bell);
}

struct buffer *submissions_begin(struct submissions *s, enum submission_kind kind, uint32_t count)
{
    submission_begin(&s->message, kind, count, s->next_request, atomic_load(&s->border->arbiter_epoch));
    return &s->message;
}

static uint64_t completion_bytes(uint32_t count)
{
    return sizeof(struct completion_head) + (uint64_t)count * sizeof(struct verdict) + 2 * RING_RECORD_OVERHEAD;
}

static void *must(void *p)
{
    if (!p)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    return p;
}

struct waiting *submissions_send(struct submissions *s, uint64_t deadline_ns, submission_done_fn *done, void *context)
{
    struct submission_head head;
    memcpy(&head, s->message.base, sizeof head);
    uint64_t room = completion_bytes(head.count);
    if (!attach(s) || atomic_load(&s->border->arbiter_state) != ARBITER_READY)
        return NULL;
    /* Half of the ring, so that a record that does not fit before its end may skip there. */
    if (s->reserved_bytes + room > COMPLETION_RING_BYTES / 2 && s->waiting)
        return NULL;
    STAGE_MARK(((struct submission_head *)(void *)s->message.base)->stages, STAGE_SENT);
    if (ring_put(&s->out, s->message.base, s->message.len) != 0)
        return NULL;
    struct waiting *waiting = must(malloc(sizeof *waiting));
    *waiting = (struct waiting){
        .done = done,
        .context = context,
        .count = head.count,
        .request_id = head.request_id,
        .epoch = head.arbiter_epoch,
        .deadline_ns = deadline_ns,
    };
    s->sent = true;
    s->next_request++;
    s->reserved_bytes += room;
    DL_APPEND(s->waiting, waiting);
    return waiting;
}

void submissions_forget(struct waiting *waiting)
{
    waiting->done = NULL;
}

static void end(struct submissions *s, struct waiting *waiting, enum submission_end how,
                const struct verdict *verdicts)
{
    submission_done_fn *done = waiting->done;
    void *context = waiting->context;
    DL_DELETE(s->waiting, waiting);
    s->reserved_bytes -= completion_bytes(waiting->count);
    free(waiting);
    if (done)
        done(context, how, verdicts);
}

static void take_verdicts(struct submissions *s, struct waiting *w, struct completion_head *head)
{
    STAGE_MARK(head->stages, STAGE_DELIVERED);
    STAGE_SUM_UP(s->slot->counters.stages, head->stages);
    end(s, w, SUBMISSION_DECIDED, (const struct verdict *)(s->completion.base + sizeof *head));
}

/* Completions come nearly in the order of sending, so the search ends early. */
static void deliver(struct submissions *s)
{
    struct completion_head head;
    struct waiting *w;
    if (s->completion.len < sizeof head)
        return;
    memcpy(&head, s->completion.base, sizeof head);
    DL_FOREACH(s->waiting, w)
    {
        if (w->request_id != head.request_id)
            continue;
        if (head.count == w->count && s->completion.len == sizeof head + head.count * sizeof(struct verdict))
            take_verdicts(s, w, &head);
        return;
    }
}

/* What was sent to an arbiter that is gone, is not known to be decided. */
static bool give_up_on_the_dead(struct submissions *s)
{
    uint64_t epoch = atomic_load(&s->border->arbiter_epoch);
    bool down = atomic_load(&s->border->arbiter_state) == ARBITER_DOWN;
    struct waiting *w, *next;
    bool any = false;
    if (epoch == s->epoch && !down)
        return false;
    s->epoch = epoch;
    DL_FOREACH_SAFE(s->waiting, w, next)
    {
        if (w->epoch == epoch && !down)
            continue;
        end(s, w, SUBMISSION_ARBITER_GONE, NULL);
        any = true;
    }
    return any;
}

bool submissions_receive(struct submissions *s)
{
    bool any = false;
    if (!attach(s))
        return false;
    for (;;) {
        buffer_clear(&s->completion);
        int error = ring_take(&s->in, &s->completion);
        if (error == EAGAIN)
            break;
        if (error) /* nothing that this worker waits for can come any more */
            report_fatal(EXIT_STATUS_FAILED, "the completion ring makes no sense: the worker restarts");
        deliver(s);
        any = true;
    }
    return give_up_on_the_dead(s) || any;
}

void submissions_expire(struct submissions *s)
{
    uint64_t now = clock_monotonic_ns();
    struct waiting *w, *next;
    DL_FOREACH_SAFE(s->waiting, w, next)
    {
        if (now < w->deadline_ns)
            continue;
        submission_done_fn *done = w->done;
        w->done = NULL;
        if (!done)
            continue;
        counter_add(&s->slot->counters.timeouts, 1);
        done(w->context, SUBMISSION_TIMED_OUT, NULL);
    }
}

void submissions_flush(struct submissions *s)
{
    if (s->sent)
        bell_ring(&s->border->arbiter_bell);
    s->sent = false;
}
