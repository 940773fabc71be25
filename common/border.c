#include "common/border.h"

/*
 * One anonymous shared mapping: the struct, then every worker's two rings,
 * whole pages each. The kernel hands out zeros, which are the beginning of
 * every state, counter and ring in it; only what is not zero is set here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/rfc3339.h"

#define HEAD_TRIES_MAX 1000
#define PAGE_BYTES 4096u

static size_t struct_bytes(void)
{
    return (sizeof(struct border) + PAGE_BYTES - 1) & ~(size_t)(PAGE_BYTES - 1);
}

static size_t border_bytes(void)
{
    return struct_bytes() + (size_t)WORKER_MAX * (SUBMISSION_RING_BYTES + COMPLETION_RING_BYTES);
}

uint8_t *border_submission_bytes(struct border *border, uint32_t worker)
{
    return (uint8_t *)border + struct_bytes() + (size_t)worker * (SUBMISSION_RING_BYTES + COMPLETION_RING_BYTES);
}

uint8_t *border_completion_bytes(struct border *border, uint32_t worker)
{
    return border_submission_bytes(border, worker) + SUBMISSION_RING_BYTES;
}

static int make_eventfd(int *fd)
{
    *fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return *fd < 0 ? errno : 0;
}

int border_create(struct border **out)
{
    /* Rings that are never used cost address space alone. */
    struct border *border =
        mmap(NULL, border_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (border == MAP_FAILED)
        return errno;
    border->version = BORDER_VERSION;
    arc4random_buf(&border->address_seed, sizeof border->address_seed);
    border->started_at_us = (uint64_t)clock_now_us();
    border->master_event_fd = border->arbiter_bell.fd = -1;
    for (int i = 0; i < WORKER_MAX; i++)
        border->worker[i].bell.fd = -1;
    int error = make_eventfd(&border->master_event_fd);
    if (error == 0)
        error = make_eventfd(&border->arbiter_bell.fd);
    for (int i = 0; error == 0 && i < WORKER_MAX; i++)
        error = make_eventfd(&border->worker[i].bell.fd);
    *out = border;
    if (error)
        border_destroy(out);
    return error;
}

static void close_if_open(int fd)
{
    if (fd >= 0)
        close(fd);
}

void border_destroy(struct border **border)
{
    if (!*border)
        return;
    close_if_open((*border)->master_event_fd);
    close_if_open((*border)->arbiter_bell.fd);
    for (int i = 0; i < WORKER_MAX; i++)
        close_if_open((*border)->worker[i].bell.fd);
    munmap(*border, border_bytes());
    *border = NULL;
}

/* The numbers stay where they are: they are the master's and the arbiter's as well. */
void border_keep_own_bell(const struct border *border, uint32_t worker)
{
    close_if_open(border->master_event_fd);
    for (uint32_t i = 0; i < WORKER_MAX; i++)
        if (i != worker)
            close_if_open(border->worker[i].bell.fd);
}

/* --- the head: a sequence lock --- */

void border_publish_head(struct border *border, const struct ledger_head *head)
{
    uint64_t words[LEDGER_HEAD_WORDS];
    memcpy(words, head, sizeof words);
    uint64_t version = atomic_load_explicit(&border->head_version, memory_order_relaxed);
    atomic_store_explicit(&border->head_version, version | 1, memory_order_relaxed); /* an arbiter may have died here */
    atomic_thread_fence(memory_order_release);
    for (size_t i = 0; i < LEDGER_HEAD_WORDS; i++)
        atomic_store_explicit(&border->head[i], words[i], memory_order_relaxed);
    atomic_store_explicit(&border->head_version, (version | 1) + 1, memory_order_release);
}

/* A writer that died in the middle leaves an odd version: then what is there must do, until its successor writes. */
void border_read_head(const struct border *border, struct ledger_head *out)
{
    uint64_t words[LEDGER_HEAD_WORDS], before, after;
    int tries = 0;
    do {
        before = atomic_load_explicit(&border->head_version, memory_order_acquire);
        for (size_t i = 0; i < LEDGER_HEAD_WORDS; i++)
            words[i] = atomic_load_explicit(&border->head[i], memory_order_relaxed);
        atomic_thread_fence(memory_order_acquire);
        after = atomic_load_explicit(&border->head_version, memory_order_relaxed);
    } while ((before % 2 || before != after) && ++tries < HEAD_TRIES_MAX);
    memcpy(out, words, sizeof words);
}

const char *recovery_step_words(enum recovery_step step)
{
    return step == RECOVERY_RESTORING ? "restoring the index from a snapshot" : "replaying the log";
}

uint64_t worker_requests(const struct worker_counters *counters)
{
    uint64_t sum = 0;
    for (unsigned route = 0; route < ROUTE_COUNT_MAX; route++)
        for (unsigned method = 0; method < METHOD_COUNT; method++)
            for (unsigned status = 0; status < STATUS_COUNT_MAX; status++)
                sum += counter_get(&counters->requests[route][method][status]);
    return sum;
}

/* --- histograms --- */

uint64_t latency_bucket_bound_ns(unsigned bucket)
{
    static const uint64_t bounds_us[LATENCY_BUCKET_COUNT] = {1000,   2500,   5000,    10000,   25000,   50000,   100000,
                                                             250000, 500000, 1000000, 2500000, 5000000, 10000000};
    return bucket < LATENCY_BUCKET_COUNT ? bounds_us[bucket] * 1000 : UINT64_MAX;
}

uint64_t fast_bucket_bound_ns(unsigned bucket)
{
    return bucket < FAST_BUCKET_COUNT ? 25000ull << bucket : UINT64_MAX;
}

uint64_t size_bucket_bound(unsigned bucket)
{
    return bucket < SIZE_BUCKET_COUNT ? 1ull << bucket : UINT64_MAX;
}

/* The first bucket whose bound the value does not pass. */
static unsigned bucket_of(uint64_t value, uint64_t (*bound)(unsigned bucket))
{
    unsigned bucket = 0;
    while (value > bound(bucket))
        bucket++;
    return bucket;
}

void latency_count(struct latency_counts *counts, uint64_t duration_ns)
{
    counter_add(&counts->bucket[bucket_of(duration_ns, latency_bucket_bound_ns)], 1);
    counter_add(&counts->sum_ns, duration_ns);
}

void fast_count(struct fast_counts *counts, uint64_t duration_ns)
{
    counter_add(&counts->bucket[bucket_of(duration_ns, fast_bucket_bound_ns)], 1);
    counter_add(&counts->sum_ns, duration_ns);
}

void size_count(struct size_counts *counts, uint64_t size)
{
    counter_add(&counts->bucket[bucket_of(size, size_bucket_bound)], 1);
    counter_add(&counts->sum, size);
}
