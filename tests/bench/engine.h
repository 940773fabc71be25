#ifndef TALEA_BENCH_ENGINE_H
#define TALEA_BENCH_ENGINE_H
/*
 * Sends requests over connections that are kept open, one at a time on each,
 * and measures how long the answers take. Threads share nothing while they run:
 * each has its connections, its epoll and its tally.
 *
 * Closed loop: each connection sends its next request when it has its answer,
 * and a latency begins when the request is sent. Open loop: requests are due by
 * a schedule, take any connection that is free, and a latency begins when the
 * request was due.
 *
 * What is asked, and what an answer means, is the source's.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/bench/answer.h"
#include "tests/bench/histogram.h"
#include "tests/bench/outcomes.h"
#include "tests/bench/plan.h"
#include "tests/bench/requests.h"
#include "tests/bench/schedule.h"
#include "tests/bench/target.h"

enum connection_state { CONNECTION_DOWN, CONNECTION_CONNECTING, CONNECTION_IDLE, CONNECTION_BUSY };

struct connection {
    int fd;
    enum connection_state state;
    char *in, *out;
    size_t in_length, in_room, out_length, out_sent, out_room;
    struct answer_reader reader;
    uint64_t due_ns;
    /* The source's, of the request under way. */
    uint64_t first_id;
    uint32_t drafts; /* 0: it is no post */
    uint32_t refused; /* drafts of it that were answered overloaded */
    bool is_repeat;
    uint64_t cursor; /* of a history: the next page begins behind it; 0: none does */
    uint32_t book, account, pages;
};

#define STATUS_ROOM 600

/* What is counted. Answers that belong to the time measured, unless said otherwise. */
struct tally {
    uint64_t answers[STATUS_ROOM];
    uint64_t requests, in_time; /* answered at all; answered before the end */
    uint64_t drafts;            /* acknowledged before the end */
    uint64_t drafts_refused;    /* slots of batches that were answered overloaded */
    uint64_t lost;              /* connections that broke under a request */
    uint64_t unsent;            /* were due, and never found a connection */
    struct histogram *latency, *refused; /* of 200 and all else; of 429 and 503 */
};
void tally_open(struct tally *tally);
void tally_close(struct tally *tally);

struct engine;
struct worker;

struct source {
    /* Writes the next request into connection_room(). False: there is none any more. */
    bool (*next)(struct worker *worker, struct connection *connection);
    /* Returns how many drafts were acknowledged. */
    uint32_t (*answered)(struct worker *worker, struct connection *connection, const char *body, size_t length);
};

struct worker {
    struct engine *engine;
    unsigned number;
    struct connection *connections;
    uint32_t connection_count, busy, down;
    uint32_t *idle, idle_count; /* of the open loop: numbers of connections */
    int epoll;
    bool is_exhausted;
    uint64_t retry_ns, refused_since_ns;
    struct schedule schedule;
    struct tally tally;
    uint64_t random;
    uint64_t made, done, goal; /* the source's: requests or drafts sent, and acknowledged, and how many are to be */
    uint64_t told_ns; /* the source's: when it last said how far it is */
};

/* A run: so long, or (duration 0) until the source has no more. */
struct phase {
    const struct source *source;
    uint32_t connections;
    double rate; /* requests per second; 0: closed loop */
    uint64_t warmup_ns, duration_ns;
    uint64_t goal; /* shared out to worker->goal */
};

struct engine {
    const struct target *target;
    struct plan plan;
    struct post_form single, batch;
    unsigned threads;
    struct outcomes outcomes[PLAN_THREADS_MAX];
    void *context; /* the source's */
    /* Set by a run. */
    const struct phase *phase;
    struct worker *workers;
    uint64_t begin_ns, count_from_ns, end_ns;
    double measured_s, cpu_s; /* the time measured, and this program's CPU in it */
    _Atomic bool is_measuring; /* for others that measure along */
    _Atomic bool has_fault;
    char fault[300];
};

void engine_open(struct engine *engine, const struct target *target, const struct plan *plan, unsigned threads,
                 uint32_t batch);
void engine_close(struct engine *engine);

/* Adds to *tally. 0, EINTR, or ECONNREFUSED and the like (said): nobody could be reached. */
int engine_run(struct engine *engine, const struct phase *phase, struct tally *tally)
    __attribute__((warn_unused_result));

/* Something that must not be; the first is kept. Any thread. */
void engine_fault(struct engine *engine, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Room for a request of this connection, whose length is then out_length. */
char *connection_room(struct connection *connection, size_t bytes);

uint32_t worker_random(struct worker *worker, uint32_t below);

#endif
