#include "arbiter/worker_links.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/exit_status.h"
#include "common/report.h"

struct link {
    uint32_t generation; /* for which the rings were reset; 0: never used */
    bool broken;
    bool answered; /* since the bells were rung */
    struct ring submissions;
    struct ring completions;
};

struct worker_links {
    struct border *border;
    uint64_t epoch;
    struct buffer message; /* scratch */
    struct buffer answer;  /* scratch */
    struct link link[WORKER_MAX];
};

static void attach(struct worker_links *l, uint32_t n)
{
    struct worker_slot *slot = &l->border->worker[n];
    ring_attach_consumer(&l->link[n].submissions, &slot->submissions, border_submission_bytes(l->border, n),
                         SUBMISSION_RING_BYTES);
    ring_attach_producer(&l->link[n].completions, &slot->completions, border_completion_bytes(l->border, n),
                         COMPLETION_RING_BYTES);
}

struct worker_links *worker_links_create(struct border *border, uint64_t epoch)
{
    struct worker_links *l = calloc(1, sizeof *l);
    if (!l)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    l->border = border;
    l->epoch = epoch;
    for (uint32_t n = 0; n < WORKER_MAX; n++) {
        /* After the death of an arbiter its successor takes the rings over as they are. */
        l->link[n].generation = atomic_load(&border->worker[n].ring_generation);
        attach(l, n);
    }
    return l;
}

void worker_links_destroy(struct worker_links **links)
{
    if (!*links)
        return;
    buffer_free(&(*links)->message);
    buffer_free(&(*links)->answer);
    free(*links);
    *links = NULL;
}

bool worker_links_follow_generations(struct worker_links *l)
{
    bool died = false;
    for (uint32_t n = 0; n < WORKER_MAX; n++) {
        struct worker_slot *slot = &l->border->worker[n];
        uint32_t generation = atomic_load(&slot->generation);
        if (generation == l->link[n].generation)
            continue;
        died = died || l->link[n].generation != 0;
        ring_reset(&slot->submissions);
        ring_reset(&slot->completions);
        l->link[n] = (struct link){.generation = generation};
        attach(l, n);
        atomic_store(&slot->ring_generation, generation);
        bell_ring(&slot->bell);
    }
    return died;
}

static void kill_scribbler(struct worker_links *l, uint32_t n)
{
    pid_t pid = atomic_load(&l->border->worker[n].pid);
    report(REPORT_ERROR, "worker %u wrote nonsense into its ring: killed, the master starts another", n);
    l->link[n].broken = true;
    if (pid > 0)
        kill(pid, SIGKILL);
}

/* Takes one message that lies in l->message. */
static void receive(struct worker_links *l, uint32_t n, struct write_queue *queue)
{
    struct submission_head head;
    struct bytes rest;
    struct submission *submission;
    if (submission_read_head(buffer_bytes(&l->message), &head, &rest) != 0) {
        kill_scribbler(l, n);
        return;
    }
    if (head.arbiter_epoch != l->epoch)
        return;
    if (write_queue_add(queue, n, l->link[n].generation, &l->message, &submission) != 0) {
        kill_scribbler(l, n);
        return;
    }
    counter_add(&l->border->arbiter.verdicts[VERDICT_OVERLOADED], submission->count - submission->undecided);
    if (submission->undecided == 0)
        worker_links_answer(l, submission);
}

void worker_links_drain(struct worker_links *l, struct write_queue *queue)
{
    for (uint32_t n = 0; n < WORKER_MAX; n++) {
        while (l->link[n].generation != 0 && !l->link[n].broken) {
            buffer_clear(&l->message);
            int error = ring_take(&l->link[n].submissions, &l->message);
            if (error == EAGAIN)
                break;
            if (error)
                kill_scribbler(l, n);
            else
                receive(l, n, queue);
        }
    }
}

bool worker_links_idle(struct worker_links *l)
{
    for (uint32_t n = 0; n < WORKER_MAX; n++) {
        if (atomic_load(&l->border->worker[n].generation) != l->link[n].generation)
            return false;
        if (l->link[n].generation != 0 && !l->link[n].broken && !ring_is_empty(&l->link[n].submissions))
            return false;
    }
    return true;
}

void worker_links_answer(struct worker_links *l, struct submission *s)
{
    struct link *link = &l->link[s->worker];
    if (link->generation == s->worker_generation) {
        struct completion_head head = {.request_id = s->request_id, .count = s->count};
        STAGE_COPY(head.stages, s->stages);
        buffer_clear(&l->answer);
        buffer_append(&l->answer, &head, sizeof head);
        buffer_append(&l->answer, s->verdicts, s->count * sizeof *s->verdicts);
        /* A worker keeps room for every answer that it waits for. */
        if (ring_put(&link->completions, l->answer.base, l->answer.len) != 0)
            kill_scribbler(l, s->worker);
        link->answered = true;
    }
    submission_free(s);
}

void worker_links_ring_bells(struct worker_links *l, bool committed)
{
    for (uint32_t n = 0; n < WORKER_MAX; n++) {
        struct worker_slot *slot = &l->border->worker[n];
        if (l->link[n].generation == 0)
            continue;
        if (l->link[n].answered || (committed && atomic_load(&slot->event_streams) > 0))
            bell_ring(&slot->bell);
        l->link[n].answered = false;
    }
}

void worker_links_ring_all(struct worker_links *l)
{
    for (uint32_t n = 0; n < WORKER_MAX; n++)
        bell_ring(&l->border->worker[n].bell);
}
