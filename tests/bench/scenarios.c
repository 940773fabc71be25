#include "tests/bench/scenarios.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "tests/bench/results.h"
#include "tests/bench/say.h"
#include "tests/bench/sources.h"
#include "tests/bench/subscribers.h"

#define SECOND_NS 1e9
/* Of what is not measured: as many as one book's write queue takes without refusals, of batches and of single posts. */
#define BATCH_CONNECTIONS 4
#define SINGLE_CONNECTIONS 64

/* By enum scenario. */
static const struct shape {
    const struct source *source;
    bool needs_depth;   /* --events transactions before it begins */
    bool needs_samples; /* a time, and transactions, to ask for */
} shapes[SCENARIO_COUNT] = {
    [SCENARIO_POST] = {&source_post, false, false},      [SCENARIO_BOOKS] = {&source_post, false, false},
    [SCENARIO_BATCH] = {&source_batch, false, false},    [SCENARIO_BALANCE] = {&source_balance, true, false},
    [SCENARIO_AS_OF] = {&source_as_of, true, true},      [SCENARIO_HISTORY] = {&source_history, true, false},
    [SCENARIO_READ] = {&source_read, true, true},        [SCENARIO_MIXED] = {&source_mixed, true, true},
    [SCENARIO_REPLAY] = {&source_replay, false, false},  [SCENARIO_OVERLOAD] = {&source_post, false, false},
    [SCENARIO_TAIL] = {&source_post, false, false},      [SCENARIO_EMPTY] = {&source_empty, false, false},
    [SCENARIO_FILL] = {&source_fill, false, false},
};

struct bench {
    const struct options *o;
    struct engine engine;
    struct ledger ledger;
    bool has_ledger; /* it was set up: not of --bare, and not of empty */
    struct results results;
};

/* Each thread needs one at least, since it has its share of what is to be done. */
static uint32_t not_fewer_than_threads(const struct options *o, uint32_t connections)
{
    return connections < o->threads ? o->threads : connections;
}

/* Once, outside of what is measured, so many drafts that are acknowledged. */
static int post_before(struct bench *b, uint64_t drafts)
{
    struct phase phase = {.source = &source_fill,
                          .connections = not_fewer_than_threads(b->o, BATCH_CONNECTIONS),
                          .goal = drafts};
    struct tally tally;
    tally_open(&tally);
    int error = engine_run(&b->engine, &phase, &tally);
    tally_close(&tally);
    return error;
}

static int prepare(struct bench *b)
{
    const struct options *o = b->o;
    const struct shape *shape = &shapes[o->scenario];
    if (o->scenario == SCENARIO_EMPTY || o->bare) {
        b->engine.context = (void *)o->path;
        return 0;
    }
    b->has_ledger = true;
    int error = ledger_prepare(&b->ledger, &b->engine, o->books, o->accounts, SINGLE_CONNECTIONS);
    b->engine.context = &b->ledger;
    if (!error && shape->needs_depth)
        error = ledger_deepen(&b->ledger, o->events, not_fewer_than_threads(o, BATCH_CONNECTIONS));
    if (!error && shape->needs_samples)
        error = ledger_sample(&b->ledger, o->events);
    if (!error && o->scenario == SCENARIO_REPLAY)
        error = post_before(b, o->events);
    return error;
}

/* --- what is measured --- */

static struct phase phase_of(const struct bench *b)
{
    const struct options *o = b->o;
    struct phase phase = {.source = shapes[o->scenario].source,
                          .connections = o->connections,
                          .rate = b->results.rate,
                          .warmup_ns = (uint64_t)(o->warmup_s * SECOND_NS),
                          .duration_ns = (uint64_t)(o->seconds * SECOND_NS)};
    if (o->scenario == SCENARIO_FILL) {
        phase.warmup_ns = phase.duration_ns = 0;
        phase.goal = o->events;
    }
    return phase;
}

static int measure(struct bench *b)
{
    struct phase phase = phase_of(b);
    int error = engine_run(&b->engine, &phase, &b->results.tally);
    b->results.seconds = b->engine.measured_s;
    b->results.cpu_s = b->engine.cpu_s;
    return error;
}

/* The rate that a closed loop reaches in a fifth of the time, unless --rate says it. Twice that is offered. */
static int find_overload(struct bench *b)
{
    const struct options *o = b->o;
    struct phase phase = {.source = &source_post,
                          .connections = o->connections < SINGLE_CONNECTIONS ? o->connections : SINGLE_CONNECTIONS,
                          .warmup_ns = (uint64_t)(o->warmup_s * SECOND_NS),
                          .duration_ns = (uint64_t)(o->seconds * SECOND_NS / 5)};
    struct tally tally;
    b->results.rate = 2 * o->rate;
    if (o->rate > 0)
        return 0;
    tally_open(&tally);
    int error = engine_run(&b->engine, &phase, &tally);
    double rate = b->engine.measured_s > 0 ? (double)tally.drafts / b->engine.measured_s : 0;
    tally_close(&tally);
    b->results.rate = 2 * (rate > 1 ? rate : 1);
    return error;
}

static int measure_tail(struct bench *b)
{
    struct subscribers *subscribers = NULL;
    b->results.delays = histogram_create();
    int error = subscribers_start(&subscribers, &b->engine, 0, b->ledger.ends[0].first_seq, b->o->subscribers);
    error = error ? error : measure(b);
    ledger_find_heads(&b->ledger);
    int late = subscribers_finish(&subscribers, error ? 0 : b->ledger.ends[0].head_seq, b->results.delays);
    return error ? error : late;
}

static int measure_scenario(struct bench *b)
{
    int error = 0;
    if (b->o->scenario == SCENARIO_TAIL)
        return measure_tail(b);
    if (b->o->scenario == SCENARIO_OVERLOAD)
        error = find_overload(b);
    return error ? error : measure(b);
}

/* --- what is proved --- */

/* Reads alone are proved as well: what they stood on was posted. */
static int verify(struct bench *b)
{
    if (!b->has_ledger || b->o->no_verify)
        return 0;
    int error = ledger_verify(&b->ledger, &b->results.verified);
    b->results.is_verified = error == 0;
    return error;
}

static int status_of(const struct bench *b, int error)
{
    if (interrupted)
        return STATUS_FAILED;
    if (atomic_load(&b->engine.has_fault)) {
        say("wrong: %s", b->engine.fault);
        return STATUS_WRONG;
    }
    return error == 0 ? STATUS_DONE : error == EBADMSG ? STATUS_WRONG : STATUS_FAILED;
}

static struct plan make_plan(const struct options *o)
{
    struct plan plan = {.books = o->books, .accounts = o->accounts};
    if (getrandom(&plan.run, sizeof plan.run, 0) != sizeof plan.run) {
        say("the kernel gives no random numbers");
        exit(STATUS_FAILED);
    }
    plan.run &= (UINT64_C(1) << 48) - 1;
    return plan;
}

int scenario_run(const struct options *o, const struct target *target)
{
    struct bench *b = need(1, sizeof *b);
    struct plan plan = make_plan(o);
    b->o = o;
    b->results = (struct results){.options = o, .url = target->url, .rate = o->rate};
    tally_open(&b->results.tally);
    engine_open(&b->engine, target, &plan, o->threads, o->batch);
    int error = prepare(b);
    bool was_measured = !error;
    error = error ? error : measure_scenario(b);
    error = error ? error : verify(b);
    if (was_measured && !interrupted)
        results_print(&b->results);
    int status = status_of(b, error);
    ledger_free(&b->ledger);
    engine_close(&b->engine);
    tally_close(&b->results.tally);
    histogram_destroy(&b->results.delays);
    free(b);
    return status;
}
