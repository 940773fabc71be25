#include "arbiter/idempotency.h"

/*
 * A spill runs beside the commit path: the keys that are not on disk yet are
 * copied, and a thread of its own sorts them, writes the run and takes it into
 * the filter. When it has ended the run is published and its keys may leave
 * the memory. One spill at a time; the thread touches nothing but its copy,
 * the runs and unpublished columns of the filter.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "arbiter/directory.h"
#include "arbiter/key_runs.h"
#include "common/data_dir.h"
#include "common/exit_status.h"
#include "common/process.h"
#include "common/report.h"
#include "common/rfc3339.h"

#define SPILL_KEYS_MAX 65536
#define BUCKETS 65536 /* of two octets */
#define BUCKET_USUAL 16
#define RETRY_AFTER_NS 1000000000u

struct spill {
    pthread_t thread;
    bool running;
    atomic_bool ended;
    int error;
    uint64_t first, end; /* numbers of the hot keys that it copies */
    struct hot_key *keys;
    struct new_run run;
    struct key_runs *runs;
    struct run_filter *filter;
};

struct idempotency {
    char *data_dir;
    struct key_runs *runs;
    struct run_filter *filter;
    struct hot_keys *hot;
    uint64_t hot_cap;
    uint64_t unspilled; /* number of the first hot key that is not on disk */
    struct spill spill;
    uint64_t retry_ns; /* a spill failed: not before */
};

/* Keys are copied to the disk long before they leave the memory, so a start has little to read again. */
static uint64_t spill_after(const struct idempotency *i)
{
    uint64_t quarter = i->hot_cap / 4 + 1;
    return quarter < SPILL_KEYS_MAX ? quarter : SPILL_KEYS_MAX;
}

/* --- opening --- */

static int load(struct idempotency *i, struct uuid ledger)
{
    i->filter = run_filter_create();
    int error = key_runs_open(i->data_dir, ledger, &i->runs);
    if (error == 0)
        error = key_runs_load_filter(i->runs, i->filter);
    if (error) {
        key_runs_close(&i->runs);
        run_filter_destroy(&i->filter);
    }
    return error;
}

int idempotency_open(const char *data_dir, struct uuid ledger, uint64_t hot_cap, struct idempotency **out,
                     bool *has_mark, struct log_mark *mark)
{
    struct idempotency *i = calloc(1, sizeof *i);
    if (!i || !(i->data_dir = strdup(data_dir)))
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    i->hot_cap = hot_cap;
    i->hot = hot_keys_create(hot_cap + 2 * spill_after(i));
    int error = load(i, ledger);
    if (error == EBADMSG || error == EINVAL) { /* EINVAL: LMDB takes the file for none of its own */
        report(REPORT_WARNING,
               "%s/" DATA_DIR_IDEMPOTENCY " is damaged or another ledger's: thrown away, its keys are read from the log",
               data_dir);
        error = directory_remove(data_dir, DATA_DIR_IDEMPOTENCY);
        if (error == 0)
            error = load(i, ledger);
    }
    if (error) {
        idempotency_close(&i);
        return error;
    }
    const struct key_state *state = key_runs_state(i->runs);
    *has_mark = state->position != 0;
    *mark = (struct log_mark){state->position, state->next_batch, state->chain, state->ledger};
    *out = i;
    return 0;
}

static void wait_for_spill(struct idempotency *i)
{
    if (i->spill.running)
        pthread_join(i->spill.thread, NULL);
    i->spill.running = false;
}

void idempotency_close(struct idempotency **idempotency)
{
    struct idempotency *i = *idempotency;
    if (!i)
        return;
    if (i->spill.running) {
        wait_for_spill(i);
        free(i->spill.keys);
    }
    key_runs_close(&i->runs);
    run_filter_destroy(&i->filter);
    hot_keys_destroy(&i->hot);
    free(i->data_dir);
    free(i);
    *idempotency = NULL;
}

uint64_t idempotency_spilled_position(const struct idempotency *i)
{
    return key_runs_state(i->runs)->position;
}

/* The process ends; the next one reads the keys from the log. */
static void throw_away(struct idempotency *i)
{
    int removed = directory_remove(i->data_dir, DATA_DIR_IDEMPOTENCY);
    if (removed)
        report_fatal(EXIT_STATUS_FAILED, "%s/" DATA_DIR_IDEMPOTENCY " is damaged and cannot be removed: %s", i->data_dir,
                     strerror(removed));
    report_fatal(EXIT_STATUS_REBUILD,
                 "%s/" DATA_DIR_IDEMPOTENCY " is damaged: thrown away, the restart reads its keys from the log", i->data_dir);
}

/* --- looking --- */

/* "Not found" would post twice: without a true answer from the disk there is none to give. */
static void cannot_look(struct idempotency *i, int error)
{
    if (error != EBADMSG)
        report_fatal(EXIT_STATUS_FAILED, "cannot read the spilled idempotency keys: %s", strerror(error));
    throw_away(i);
}

struct search {
    struct idempotency *idempotency;
    const struct sha256 *digest;
    struct key_value *out;
};

static bool look_into_run(void *context, uint32_t run)
{
    struct search *search = context;
    int error = key_runs_find(search->idempotency->runs, run, search->digest, search->out);
    if (error && error != ENOENT)
        cannot_look(search->idempotency, error);
    return error == 0;
}

bool idempotency_find(struct idempotency *i, const struct sha256 *digest, struct key_value *out)
{
    run_filter_expect(i->filter, digest); /* most keys are new: what says so comes while the hot ones are looked at */
    const struct hot_key *hot = hot_keys_find(i->hot, digest);
    if (hot) {
        *out = (struct key_value){hot->seq, hot->at_us, hot->tx_id};
        return true;
    }
    return run_filter_search(i->filter, digest, look_into_run, &(struct search){i, digest, out});
}

void idempotency_add(struct idempotency *i, const struct sha256 *digest, const struct key_value *value)
{
    hot_keys_add(i->hot, &(struct hot_key){*digest, value->seq, value->at_us, value->tx_id});
}

/* --- spilling, in its thread --- */

static int compare_hot_keys(const void *a, const void *b)
{
    const struct hot_key *x = a, *y = b;
    return memcmp(x->digest.octets, y->digest.octets, SHA256_SIZE);
}

static unsigned bucket_of(const struct hot_key *key)
{
    return (unsigned)key->digest.octets[0] << 8 | key->digest.octets[1];
}

/* In a bucket is one key, or a few; many only where clients have searched for keys that fall into it. */
static void sort_bucket(struct hot_key *keys, size_t count)
{
    if (count > BUCKET_USUAL) {
        qsort(keys, count, sizeof *keys, compare_hot_keys);
        return;
    }
    for (size_t i = 1; i < count; i++) {
        struct hot_key key = keys[i];
        size_t at = i;
        for (; at > 0 && compare_hot_keys(&key, &keys[at - 1]) < 0; at--)
            keys[at] = keys[at - 1];
        keys[at] = key;
    }
}

/* `keys` by digest, into `sorted`. Digests are random, so their first octets part them evenly. */
static void sort_by_digest(const struct hot_key *keys, struct hot_key *sorted, size_t count)
{
    size_t *ends = calloc(BUCKETS + 1, sizeof *ends);
    if (!ends)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory while spilling idempotency keys");
    for (size_t n = 0; n < count; n++)
        ends[bucket_of(&keys[n]) + 1]++;
    for (size_t b = 0; b < BUCKETS; b++)
        ends[b + 1] += ends[b];
    for (size_t n = 0; n < count; n++)
        sorted[ends[bucket_of(&keys[n])]++] = keys[n];
    for (size_t b = 0, begin = 0; b < BUCKETS; begin = ends[b++])
        sort_bucket(&sorted[begin], ends[b] - begin);
    free(ends);
}

static void *spill(void *context)
{
    struct spill *s = context;
    struct new_run *run = &s->run;
    unsigned log2 = run_filter_log2(run->count);
    uint8_t *bits = calloc(1, (size_t)1 << (log2 - 3));
    struct hot_key *sorted = malloc(run->count * sizeof *sorted);
    if (!bits || !sorted)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory while spilling idempotency keys");
    sort_by_digest(s->keys, sorted, run->count);
    for (size_t n = 0; n < run->count; n++)
        run_filter_set(bits, log2, &sorted[n].digest);
    run->keys = sorted;
    run->filter = bits;
    run->filter_log2 = log2;
    s->error = key_runs_write(s->runs, run);
    if (s->error == 0)
        run_filter_insert(s->filter, log2, &(struct run_bits){run->state.run_count - 1, bits});
    free(bits);
    free(sorted);
    atomic_store(&s->ended, true);
    return NULL;
}

/* --- spilling, on the commit path --- */

static int start_spill(struct idempotency *i, const struct log_mark *mark, uint64_t key_count)
{
    struct spill *s = &i->spill;
    s->first = i->unspilled;
    s->end = key_count;
    s->runs = i->runs;
    s->filter = i->filter;
    s->run = (struct new_run){.count = (size_t)(s->end - s->first)};
    s->run.state = (struct key_state){
        .position = mark->position,
        .next_batch = mark->next_batch,
        .chain = mark->chain,
        .ledger = mark->ledger,
    };
    s->keys = malloc(s->run.count * sizeof *s->keys);
    if (!s->keys)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory while spilling idempotency keys");
    for (size_t n = 0; n < s->run.count; n++)
        s->keys[n] = *hot_keys_at(i->hot, s->first + n);
    atomic_store(&s->ended, false);
    int error = process_start_thread(&s->thread, spill, s);
    s->running = error == 0;
    if (error)
        free(s->keys);
    return error;
}

/* Takes over what an ended spill has done. */
static int finish_spill(struct idempotency *i)
{
    struct spill *s = &i->spill;
    wait_for_spill(i);
    free(s->keys);
    if (s->error == 0) {
        key_runs_publish(i->runs, &s->run);
        run_filter_publish(i->filter);
        i->unspilled = s->end;
    }
    return s->error;
}

/* The memory is bounded: beyond this a commit waits for the spill that is under way. */
static bool must_wait(const struct idempotency *i)
{
    return i->spill.running && hot_keys_end(i->hot) - hot_keys_first(i->hot) > i->hot_cap + 2 * spill_after(i);
}

int idempotency_settle(struct idempotency *i, const struct log_mark *mark, uint64_t key_count)
{
    int error = 0;
    if (i->spill.running && (atomic_load(&i->spill.ended) || must_wait(i)))
        error = finish_spill(i);
    if (error == EBADMSG) /* no other try would get further */
        throw_away(i);
    if (error)
        i->retry_ns = clock_monotonic_ns() + RETRY_AFTER_NS;
    bool due = !i->spill.running && key_count - i->unspilled >= spill_after(i);
    if (error == 0 && due && (i->retry_ns == 0 || clock_monotonic_ns() >= i->retry_ns)) {
        i->retry_ns = 0;
        error = start_spill(i, mark, key_count);
    }
    while (hot_keys_end(i->hot) - hot_keys_first(i->hot) > i->hot_cap && hot_keys_first(i->hot) < i->unspilled)
        hot_keys_drop_oldest(i->hot);
    return error;
}

uint64_t idempotency_key_count(const struct idempotency *i)
{
    return hot_keys_end(i->hot);
}

bool idempotency_spills(const struct idempotency *i)
{
    return i->spill.running;
}

uint64_t idempotency_hot_count(const struct idempotency *i)
{
    return hot_keys_end(i->hot) - hot_keys_first(i->hot);
}

uint64_t idempotency_spilled_count(const struct idempotency *i)
{
    return key_runs_state(i->runs)->key_count;
}
