#ifndef TALEA_SERVER_STATUS_H
#define TALEA_SERVER_STATUS_H
/*
 * How talead does: the master looks at the shared counters once a second and
 * keeps the last seconds, so that rates and shares are those of now. Rates are
 * floating point: none of this is money.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/border.h"
#include "common/buffer.h"

struct master;
struct status;

struct status *status_create(void);
void status_destroy(struct status **status);

/* Once a second: takes a sample. */
void status_sample(struct status *status, const struct master *master);

/*
 * What holds the rate of posts down, as far as can be seen from inside:
 *   NOT_SERVING  the arbiter does not take posts
 *   IDLE         hardly anything is asked
 *   DISK         most of each second goes into fdatasync
 *   ARBITER      most of each second goes into deciding
 *   WORKERS      the workers' processes use their CPUs up, and the machine has more
 *   MACHINE      no CPU of the machine is idle
 *   CLIENTS      nothing of the above: more would be answered if more were asked
 */
enum status_limit { LIMIT_NOT_SERVING, LIMIT_IDLE, LIMIT_DISK, LIMIT_ARBITER, LIMIT_WORKERS, LIMIT_MACHINE, LIMIT_CLIENTS };

struct worker_view {
    uint32_t number;
    int pid; /* 0: waits to be started */
    const char *state; /* "serving", "leaving", "waiting" */
    uint64_t age_s;
    uint32_t connections, in_flight, event_streams;
    uint64_t ring_bytes;
    double requests_per_s;
    double cpu_share; /* of one CPU */
    uint64_t deaths;
    const char *last_death; /* "": none */
};

struct status_view {
    const char *state; /* "starting", "serving", "stopping" */
    const char *directory;
    uint64_t uptime_s;
    double window_s; /* that rates are taken over; 0: too early for any */
    struct ledger_head head;
    struct bytes deepest_book; /* cut at a character; of head */
    uint32_t workers_wanted, worker_count;
    struct worker_view worker[WORKER_MAX];
    const char *arbiter_state;
    int arbiter_pid;
    uint64_t arbiter_age_s;
    uint64_t arbiter_deaths;
    const char *arbiter_last_death;
    unsigned arbiter_backoff_ms; /* it keeps dying: this long before each start; 0: no */
    uint32_t recovery_percent;
    double requests_per_s, drafts_per_s, commits_per_s, drafts_per_commit;
    double sync_p50_s, sync_p99_s;              /* 0: no fdatasync in the window */
    double sync_share, decide_share, idle_share; /* of the arbiter's time */
    double worker_cpu_share, machine_idle_share; /* mean of those serving; of all CPUs */
    uint32_t cpus;
    uint64_t queue_drafts, queue_books;
    enum status_limit limit;
    char limit_sentence[256];
    bool more_workers_help;
    char advice[512];
};

/* Everything as of now. The view's texts are the master's and its own. */
void status_view(const struct status *status, const struct master *master, struct status_view *out);

const char *status_limit_word(enum status_limit limit); /* "disk" */

/* status_text.c: for people; status_json.c: one JSON object. */
void status_write_text(struct buffer *out, const struct status_view *view);
void status_write_workers_text(struct buffer *out, const struct status_view *view);
void status_write_json(struct buffer *out, const struct status_view *view);

#endif
