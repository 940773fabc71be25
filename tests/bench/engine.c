#include "tests/bench/engine.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "common/rfc3339.h"
#include "tests/bench/connections.h"
#include "tests/bench/say.h"

#define SECOND_NS UINT64_C(1000000000)
#define LOOK_EVERY_NS (SECOND_NS / 20)

void tally_open(struct tally *t)
{
    *t = (struct tally){.latency = histogram_create(), .refused = histogram_create()};
}

void tally_close(struct tally *t)
{
    histogram_destroy(&t->latency);
    histogram_destroy(&t->refused);
}

static void tally_add(struct tally *into, const struct tally *from)
{
    for (int i = 0; i < STATUS_ROOM; i++)
        into->answers[i] += from->answers[i];
    into->requests += from->requests;
    into->in_time += from->in_time;
    into->drafts += from->drafts;
    into->drafts_refused += from->drafts_refused;
    into->lost += from->lost;
    into->unsent += from->unsent;
    histogram_merge(into->latency, from->latency);
    histogram_merge(into->refused, from->refused);
}

void engine_open(struct engine *e, const struct target *target, const struct plan *plan, unsigned threads,
                 uint32_t batch)
{
    assert(threads >= 1 && threads <= PLAN_THREADS_MAX);
    *e = (struct engine){.target = target, .plan = *plan, .threads = threads};
    post_form_make(&e->single, target, 0);
    post_form_make(&e->batch, target, batch);
    for (unsigned i = 0; i < threads; i++)
        outcomes_open(&e->outcomes[i]);
}

void engine_close(struct engine *e)
{
    post_form_free(&e->single);
    post_form_free(&e->batch);
    for (unsigned i = 0; i < e->threads; i++)
        outcomes_close(&e->outcomes[i]);
}

void engine_fault(struct engine *e, const char *format, ...)
{
    va_list args;
    if (atomic_exchange(&e->has_fault, true))
        return;
    va_start(args, format);
    vsnprintf(e->fault, sizeof e->fault, format, args);
    va_end(args);
}

uint32_t worker_random(struct worker *w, uint32_t below)
{
    w->random = plan_mix(w->random);
    return (uint32_t)((w->random >> 32) * below >> 32);
}

/* --- a run --- */

static void share_out(struct engine *e, struct worker *w, unsigned number)
{
    const struct phase *phase = e->phase;
    *w = (struct worker){.engine = e, .number = number};
    w->random = plan_mix(e->plan.run ^ clock_monotonic_ns() ^ number);
    w->connection_count = phase->connections / e->threads + (number < phase->connections % e->threads);
    w->goal = phase->goal / e->threads + (number < phase->goal % e->threads);
    w->schedule = (struct schedule){e->begin_ns, phase->rate, number, e->threads, 0};
    tally_open(&w->tally);
}

static double cpu_seconds(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

static void sleep_until(uint64_t ns)
{
    while (!interrupted && clock_monotonic_ns() < ns) {
        uint64_t now = clock_monotonic_ns(), left = ns > now ? ns - now : 0;
        left = left > LOOK_EVERY_NS ? LOOK_EVERY_NS : left;
        nanosleep(&(struct timespec){.tv_nsec = (long)left}, NULL);
    }
}

/* Signals are for the main thread, which is the one that looks. */
static void start_threads(struct engine *e, pthread_t *threads)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (unsigned i = 0; i < e->threads; i++) {
        share_out(e, &e->workers[i], i);
        if (pthread_create(&threads[i], NULL, connections_run, &e->workers[i]) != 0) {
            say("cannot make a thread");
            exit(STATUS_FAILED);
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void measure_cpu(struct engine *e, bool until_exhausted, pthread_t *threads)
{
    sleep_until(e->count_from_ns);
    double before = cpu_seconds();
    uint64_t from_ns = clock_monotonic_ns();
    atomic_store(&e->is_measuring, true);
    if (!until_exhausted)
        sleep_until(e->end_ns);
    else
        for (unsigned i = 0; i < e->threads; i++)
            pthread_join(threads[i], NULL);
    atomic_store(&e->is_measuring, false);
    double spent_s = cpu_seconds() - before, passed_s = (double)(clock_monotonic_ns() - from_ns) / 1e9;
    e->measured_s = until_exhausted ? passed_s : (double)e->phase->duration_ns / 1e9;
    e->cpu_s = passed_s > 0 ? spent_s / passed_s * e->measured_s : 0; /* this thread may have been woken late */
    if (until_exhausted)
        return;
    for (unsigned i = 0; i < e->threads; i++)
        pthread_join(threads[i], NULL);
}

int engine_run(struct engine *e, const struct phase *phase, struct tally *tally)
{
    pthread_t threads[PLAN_THREADS_MAX];
    int error = 0;
    e->phase = phase;
    e->begin_ns = clock_monotonic_ns();
    e->count_from_ns = e->begin_ns + phase->warmup_ns;
    e->end_ns = phase->duration_ns ? e->count_from_ns + phase->duration_ns : UINT64_MAX;
    e->workers = need(e->threads, sizeof *e->workers);
    start_threads(e, threads);
    measure_cpu(e, phase->duration_ns == 0, threads);
    for (unsigned i = 0; i < e->threads; i++) {
        error = e->workers[i].refused_since_ns == UINT64_MAX ? ECONNREFUSED : error;
        tally_add(tally, &e->workers[i].tally);
        tally_close(&e->workers[i].tally);
    }
    free(e->workers);
    e->workers = NULL;
    if (error)
        say("%s: no connection was taken for 5 s", e->target->url);
    return error ? error : interrupted ? EINTR : 0;
}
