#ifndef TALEA_COMMON_BORDER_H
#define TALEA_COMMON_BORDER_H
/*
 * Everything that crosses the border between talead's processes: one shared
 * mapping (made by the master before it forks, inherited by all), the
 * descriptors that come with it, the rings' places, and the shared counters.
 * Messages: message.h. Ring protocol: ring.h.
 *
 * Who writes what is said at each field; every other process only reads. A
 * counter has one writer, so an update is a relaxed load, add, store.
 */
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/digest.h"
#include "common/ring.h"
#include "common/settings.h"
#include "common/stage_times.h"
#include "common/uuid7.h"
#include "common/verdict.h"

#define BORDER_VERSION 1
#define WORKER_MAX 128 /* slots: twice the workers there may be, for those that leave while others take their place */
#define SUBMISSION_RING_BYTES (8u << 20)
#define COMPLETION_RING_BYTES (4u << 20) /* twice the answer to the largest batch, and more */

/*
 * The arbiter's life, as everybody sees it:
 *   DOWN        none runs, or it has not looked at the log yet (the beginning)
 *   RECOVERING  it holds the lock and proves the log, rebuilds the index if need be
 *   READY       it takes submissions
 *   STOPPING    it takes no more, answers what it has, seals the log (the end)
 * Set to DOWN by the master when the process died, else written by the arbiter.
 */
enum arbiter_state { ARBITER_DOWN = 0, ARBITER_RECOVERING = 1, ARBITER_READY = 2, ARBITER_STOPPING = 3 };

/*
 * What the master asks of a child; the child sees it when its bell rings.
 *   DRAIN  talead stops: finish what is under way, and end
 *   LEAVE  a worker alone, others stay: the same, but connections that rest
 *          between two requests are kept for a while, so that a client which
 *          sends its next one just then gets an answer and is told to close
 */
enum child_order { ORDER_RUN = 0, ORDER_DRAIN = 1, ORDER_LEAVE = 2 };

/*
 * What an arbiter does at its start with the index and the spilled keys: trust
 * them if they may be trusted; put the newest snapshot in the index's place,
 * because the arbiter before it died of one of them; or build both from the
 * log alone (talead reindex).
 */
enum index_order { INDEX_TRUST = 0, INDEX_REPLACE = 1, INDEX_REBUILD = 2 };

/* Steps of a recovery that can take long. */
enum recovery_step { RECOVERY_RESTORING = 0, RECOVERY_REPLAYING = 1 };
const char *recovery_step_words(enum recovery_step step); /* "replaying the log" */

#define BOOK_SHOWN_BYTES 64

/*
 * Where the ledger stands, as of one group commit. Written by the arbiter as a
 * whole and read as a whole (border_publish_head, border_read_head).
 */
struct ledger_head {
    struct uuid ledger;
    struct sha256 chain; /* after the last batch */
    uint64_t position;   /* end of the log */
    uint64_t next_batch;
    uint64_t books;
    uint64_t accounts;
    uint64_t events;
    uint64_t deepest_drafts;              /* drafts in the longest queue */
    uint64_t deepest_length;              /* bytes of its book's name, which may be cut below */
    uint8_t deepest_book[BOOK_SHOWN_BYTES];
};
#define LEDGER_HEAD_WORDS (sizeof(struct ledger_head) / 8)
_Static_assert(sizeof(struct ledger_head) % 8 == 0, "copied by words");

#define ROUTE_COUNT_MAX 16
#define METHOD_COUNT 4 /* GET, HEAD, POST, any other */
#define STATUS_COUNT_MAX 24
#define LIMIT_COUNT_MAX 16
#define LATENCY_BUCKET_COUNT 13 /* upper bounds: 1 2.5 5 10 25 50 100 250 500 ms, 1 2.5 5 10 s */

struct latency_counts {
    _Atomic uint64_t bucket[LATENCY_BUCKET_COUNT + 1]; /* not cumulative; the last: slower than all bounds */
    _Atomic uint64_t sum_ns;
};

#define SIZE_BUCKET_COUNT 13 /* upper bounds: 1 2 4 ... 4096 */
struct size_counts {
    _Atomic uint64_t bucket[SIZE_BUCKET_COUNT + 1];
    _Atomic uint64_t sum;
};

#define FAST_BUCKET_COUNT 16 /* upper bounds: 25 us doubling to 819.2 ms */
struct fast_counts {
    _Atomic uint64_t bucket[FAST_BUCKET_COUNT + 1];
    _Atomic uint64_t sum_ns;
};

struct worker_counters {
    _Atomic uint64_t requests[ROUTE_COUNT_MAX][METHOD_COUNT][STATUS_COUNT_MAX];
    struct latency_counts duration[ROUTE_COUNT_MAX][METHOD_COUNT];
    _Atomic uint64_t shed;              /* 503 over TALEA_MAX_INFLIGHT */
    _Atomic uint64_t timeouts;          /* 408 */
    _Atomic uint64_t limits[LIMIT_COUNT_MAX]; /* clients that met one, by enum http_limit */
    _Atomic uint64_t events_sent;
    _Atomic uint64_t auth_failures; /* requests without a token that was accepted */
    STAGE_SUMS_FIELD
};

#define ADDRESS_PLACE_COUNT 4096

/* One for each worker number. Counters outlive the worker that wrote them, so no sum ever falls. */
struct worker_slot {
    _Atomic uint32_t generation; /* of the process that may use this slot; written by the master before each fork */
    _Atomic uint32_t ring_generation; /* generation for which both rings are reset; written by the arbiter */
    _Atomic int32_t pid;              /* written by the master; 0: none */
    _Atomic uint32_t order;           /* enum child_order; written by the master */
    _Atomic uint32_t in_flight;       /* requests; written by the worker, zeroed by the master when it died */
    _Atomic uint32_t connections;     /* the same */
    _Atomic uint32_t address_connections[ADDRESS_PLACE_COUNT]; /* by address_limit.h; the same */
    _Atomic uint32_t event_streams;   /* open SSE streams: the arbiter rings after commits while > 0; the same */
    _Atomic uint64_t alive_ns;        /* CLOCK_MONOTONIC of the last turn of its loop; one a second at the least */
    _Atomic int32_t forbidden_call;   /* the system call that the process died of; written by it as it dies */
    _Atomic uint32_t open_fds;        /* of a second ago at most: older kernels tell them to the process alone */
    struct bell bell;                 /* the worker's */
    struct ring_control submissions;  /* producer: the worker; consumer: the arbiter */
    struct ring_control completions;  /* the other way */
    struct worker_counters counters;  /* written by the worker */
    _Atomic uint64_t restarts;        /* after deaths; written by the master */
};

struct arbiter_counters {
    _Atomic uint64_t verdicts[VERDICT_CODE_COUNT]; /* drafts by outcome; replays are no VERDICT_POSTED here */
    _Atomic uint64_t replays;                      /* posts that were posted before: deduplicated */
    struct size_counts group_size;                 /* drafts decided in one group commit */
    struct fast_counts group_duration;             /* from the first draft taken to the answers */
    struct fast_counts fdatasync_duration;
    _Atomic uint64_t queue_depth;  /* drafts waiting over all books (gauge) */
    _Atomic uint64_t active_books; /* books with drafts waiting (gauge) */
    _Atomic uint64_t log_bytes;    /* size of all segments (gauge) */
    _Atomic uint64_t events;       /* in the ledger (gauge) */
    _Atomic uint64_t idempotency_hot_keys;
    _Atomic uint64_t idempotency_spilled_keys;
    _Atomic uint64_t snapshots;
    _Atomic uint64_t snapshot_failures;
    _Atomic uint64_t restarts; /* of the arbiter; written by the master */
};

#define AUTH_BUCKET_COUNT 4096
/* For the addresses that a hash puts here: auth_limit.h. Written by any worker, relaxed: a word stands for itself. */
struct auth_bucket {
    _Atomic uint64_t failures; /* upper half: a minute of CLOCK_MONOTONIC; lower: wrong tokens in it */
    _Atomic uint64_t accepted; /* bits of scope_number: tokens that were accepted */
};

struct border {
    uint32_t version; /* BORDER_VERSION */
    _Atomic uint32_t slot_count; /* slots from 0 that were ever used; written by the master */
    uint64_t started_at_us;
    int master_event_fd; /* eventfd: the arbiter adds 1 when its state changes; the master polls it */
    struct bell arbiter_bell;
    _Atomic uint32_t arbiter_order; /* enum child_order; written by the master */
    _Atomic uint32_t arbiter_state; /* enum arbiter_state */
    _Atomic uint64_t arbiter_epoch; /* counts arbiters; raised by each new one before READY. Submissions carry it */
    _Atomic int32_t arbiter_pid;    /* written by the master */
    _Atomic int32_t arbiter_forbidden_call; /* as forbidden_call of a worker */
    _Atomic uint32_t arbiter_open_fds; /* as open_fds of a worker */
    _Atomic uint32_t master_open_fds;  /* the same */
    _Atomic uint32_t index_order; /* enum index_order, for the next arbiter; written by the master */
    _Atomic uint32_t recovery_step;    /* enum recovery_step; this and the next two are written every few seconds */
    _Atomic uint32_t recovery_percent;
    _Atomic uint64_t recovery_seconds_left;
    _Atomic uint32_t index_generation; /* raised by the arbiter when it put a new index in the old one's place */
    _Atomic uint64_t arbiter_alive_ns; /* as alive_ns of a worker, while READY */
    _Atomic uint64_t snapshots_wanted; /* orders for a snapshot so far; written by the master, who then rings */
    _Atomic uint64_t snapshots_answered; /* the last order that came to its end; written by the arbiter */
    _Atomic uint32_t snapshot_failed;  /* did that one fail? Written before snapshots_answered */
    _Atomic uint64_t head_version;     /* odd while the arbiter writes the head */
    _Atomic uint64_t head[LEDGER_HEAD_WORDS];
    _Atomic uint64_t durable_position; /* end of the last batch that is on stable storage; written by the arbiter */
    uint64_t address_seed; /* random; written before the first fork */
    struct auth_bucket auth_buckets[AUTH_BUCKET_COUNT];
    struct arbiter_counters arbiter;
    struct worker_slot worker[WORKER_MAX];
};

/* Where a worker's ring bytes lie: behind the struct, page-aligned. */
uint8_t *border_submission_bytes(struct border *border, uint32_t worker);
uint8_t *border_completion_bytes(struct border *border, uint32_t worker);

/* Makes the mapping and the eventfds. Master alone, once, before any fork. 0 or errno. */
int border_create(struct border **out) __attribute__((warn_unused_result));
void border_destroy(struct border **border);

/* A worker alone, once: closes the descriptors of all other bells but the arbiter's. */
void border_keep_own_bell(const struct border *border, uint32_t worker);

/* Arbiter alone. */
void border_publish_head(struct border *border, const struct ledger_head *head);
/* Any process; waits while it is written. */
void border_read_head(const struct border *border, struct ledger_head *out);

/*
 * The arbiter process, called in a fresh fork of the master (or of `talead
 * init`). Never returns: exits with a status of exit_status.h.
 */
void arbiter_run(struct border *border, const struct settings *settings) __attribute__((noreturn));

static inline void counter_add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n, memory_order_relaxed);
}

static inline uint64_t counter_get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* Requests that a worker has answered, over all routes, methods and statuses. */
uint64_t worker_requests(const struct worker_counters *counters);

void latency_count(struct latency_counts *counts, uint64_t duration_ns);
void fast_count(struct fast_counts *counts, uint64_t duration_ns);
void size_count(struct size_counts *counts, uint64_t size);
/* Upper bound of a bucket: nanoseconds, or a size; UINT64_MAX for the last. */
uint64_t latency_bucket_bound_ns(unsigned bucket);
uint64_t fast_bucket_bound_ns(unsigned bucket);
uint64_t size_bucket_bound(unsigned bucket);

#endif
