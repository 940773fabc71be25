/* One mapping, two sides: what is put is taken, whole and in order, or the ring says that it is broken. */
#include "common/ring.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#define CAPACITY 4096

struct fixture {
    struct ring_control control;
    _Alignas(64) uint8_t bytes[CAPACITY];
    struct ring producer, consumer;
    struct buffer taken;
};

static void attach_both(struct fixture *f)
{
    ring_attach_producer(&f->producer, &f->control, f->bytes, CAPACITY);
    ring_attach_consumer(&f->consumer, &f->control, f->bytes, CAPACITY);
}

static int set_up(void **state)
{
    struct fixture *f = aligned_alloc(64, (sizeof *f + 63) & ~(size_t)63);
    memset(f, 0, sizeof *f);
    attach_both(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    buffer_free(&f->taken);
    free(f);
    return 0;
}

static int put_string(struct fixture *f, const char *s)
{
    return ring_put(&f->producer, s, strlen(s));
}

static int take(struct fixture *f)
{
    buffer_clear(&f->taken);
    return ring_take(&f->consumer, &f->taken);
}

static void assert_taken(struct fixture *f, const char *expected)
{
    assert_int_equal(take(f), 0);
    assert_int_equal(f->taken.len, strlen(expected));
    assert_memory_equal(f->taken.base, expected, f->taken.len);
}

static void records_come_out_in_order(void **state)
{
    struct fixture *f = *state;
    assert_true(ring_is_empty(&f->consumer));
    assert_int_equal(take(f), EAGAIN);
    assert_int_equal(put_string(f, "one"), 0);
    assert_int_equal(put_string(f, "and two"), 0);
    assert_int_equal(ring_waiting_bytes(&f->control), 16 + 16);
    assert_false(ring_is_empty(&f->consumer));
    assert_taken(f, "one");
    assert_taken(f, "and two");
    assert_int_equal(take(f), EAGAIN);
    assert_int_equal(ring_waiting_bytes(&f->control), 0);
}

static void an_empty_record_is_a_record(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(ring_put(&f->producer, NULL, 0), 0);
    assert_taken(f, "");
}

static void what_is_taken_is_appended(void **state)
{
    struct fixture *f = *state;
    buffer_append_string(&f->taken, "before ");
    assert_int_equal(put_string(f, "after"), 0);
    assert_int_equal(ring_take(&f->consumer, &f->taken), 0);
    assert_int_equal(f->taken.len, 12);
    assert_memory_equal(f->taken.base, "before after", 12);
}

/* Lengths that meet the end of the ring at every multiple of 8. */
static void records_wrap_around_at_every_offset(void **state)
{
    struct fixture *f = *state;
    uint8_t payload[600];
    for (unsigned n = 0; n < 5000; n++) {
        size_t length = (n * 37) % sizeof payload;
        memset(payload, (int)n, sizeof payload);
        assert_int_equal(ring_put(&f->producer, payload, length), 0);
        assert_int_equal(ring_put(&f->producer, payload, length / 2), 0);
        assert_int_equal(take(f), 0);
        assert_int_equal(f->taken.len, length);
        if (length)
            assert_memory_equal(f->taken.base, payload, length);
        assert_int_equal(take(f), 0);
        assert_int_equal(f->taken.len, length / 2);
    }
}

static void a_full_ring_takes_no_more_until_something_was_taken(void **state)
{
    struct fixture *f = *state;
    uint8_t payload[56] = {0}; /* 64 with its head */
    for (int i = 0; i < CAPACITY / 64; i++)
        assert_int_equal(ring_put(&f->producer, payload, sizeof payload), 0);
    assert_int_equal(ring_put(&f->producer, payload, 0), EAGAIN);
    assert_int_equal(take(f), 0);
    assert_int_equal(ring_put(&f->producer, payload, sizeof payload), 0);
    assert_int_equal(ring_put(&f->producer, payload, 0), EAGAIN);
}

static void the_greatest_payload_fits_wherever_the_ring_stands(void **state)
{
    struct fixture *f = *state;
    uint8_t payload[CAPACITY] = {0};
    uint64_t max = ring_payload_max(CAPACITY);
    assert_int_equal(ring_put(&f->producer, payload, max + 1), EMSGSIZE);
    for (unsigned n = 0; n < CAPACITY / 8; n++) {
        assert_int_equal(ring_put(&f->producer, payload, max), 0);
        assert_int_equal(take(f), 0);
        assert_int_equal(f->taken.len, max);
        assert_int_equal(ring_put(&f->producer, payload, 0), 0); /* 8 bytes on */
        assert_int_equal(take(f), 0);
    }
}

static void a_successor_goes_on_where_its_predecessor_died(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(put_string(f, "one"), 0);
    assert_int_equal(put_string(f, "two"), 0);
    assert_taken(f, "one");
    attach_both(f);
    assert_int_equal(put_string(f, "three"), 0);
    assert_taken(f, "two");
    assert_taken(f, "three");
}

static void a_reset_empties_the_ring_and_mends_a_broken_one(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(put_string(f, "old"), 0);
    atomic_store(&f->control.tail, 12345);
    attach_both(f);
    assert_int_equal(take(f), EBADMSG);
    ring_reset(&f->control);
    attach_both(f);
    assert_int_equal(take(f), EAGAIN);
    assert_int_equal(put_string(f, "new"), 0);
    assert_taken(f, "new");
}

/* --- a peer that scribbles --- */

static void a_scribbled_tail_breaks_the_consumer_for_good(void **state)
{
    static const uint64_t tails[] = {3, 4104, 1ull << 40, UINT64_MAX, UINT64_MAX - 7};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        ring_reset(&f->control);
        attach_both(f);
        atomic_store(&f->control.tail, tails[i]);
        assert_int_equal(take(f), EBADMSG);
        atomic_store(&f->control.tail, 0);
        assert_int_equal(take(f), EBADMSG);
        assert_false(ring_is_empty(&f->consumer));
    }
}

static void a_tail_without_a_record_is_noticed(void **state)
{
    struct fixture *f = *state;
    atomic_store(&f->control.tail, 64);
    assert_int_equal(take(f), EBADMSG);
}

static void a_scribbled_head_leaves_the_producer_no_room(void **state)
{
    static const uint64_t heads[] = {1, 8, 1ull << 40};
    struct fixture *f = *state;
    uint8_t payload[1000] = {0};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        ring_reset(&f->control);
        attach_both(f);
        while (ring_put(&f->producer, payload, sizeof payload) == 0)
            ;
        atomic_store(&f->control.head, atomic_load(&f->control.tail) + heads[i]);
        assert_int_equal(ring_put(&f->producer, payload, sizeof payload), EAGAIN);
    }
}

/* Who attaches takes its own counter from the mapping: that one may be scribbled too. */
static void a_counter_off_its_alignment_breaks_who_attaches(void **state)
{
    struct fixture *f = *state;
    for (uint64_t off = 1; off < 8; off++) {
        atomic_store(&f->control.head, CAPACITY - 8 + off);
        atomic_store(&f->control.tail, CAPACITY - 8 + off);
        attach_both(f);
        assert_int_equal(put_string(f, "x"), EAGAIN);
        assert_int_equal(take(f), EBADMSG);
    }
}

/* Every single bit of a record's head, and of the counters, turned over: never a crash, never a wrong record. */
static void a_flipped_bit_in_a_head_is_never_taken_for_a_record(void **state)
{
    struct fixture *f = *state;
    for (unsigned bit = 0; bit < 64; bit++) {
        ring_reset(&f->control);
        memset(f->bytes, 0, sizeof f->bytes);
        attach_both(f);
        assert_int_equal(put_string(f, "payload"), 0);
        f->bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        int error = take(f);
        /* A length that still fits the published bytes cannot be told from the true one. */
        if (error == 0)
            assert_true(bit < 32 && f->taken.len <= 8);
        else
            assert_int_equal(error, EBADMSG);
    }
}

static void random_bytes_never_crash_the_consumer(void **state)
{
    struct fixture *f = *state;
    unsigned seed = 1;
    for (unsigned round = 0; round < 20000; round++) {
        for (size_t i = 0; i < sizeof f->bytes; i += 1 + (unsigned)rand_r(&seed) % 64)
            f->bytes[i] = (uint8_t)rand_r(&seed);
        atomic_store(&f->control.head, (uint64_t)rand_r(&seed) % (2 * CAPACITY));
        atomic_store(&f->control.tail, (uint64_t)rand_r(&seed) % (2 * CAPACITY));
        attach_both(f);
        while (take(f) == 0)
            ;
    }
}

/* --- threads --- */

/* How often the threads do it: TALEA_TEST_RING_COUNT times, or a default. */
static uint32_t count_or(uint32_t fallback)
{
    const char *count = getenv("TALEA_TEST_RING_COUNT");
    unsigned long n = count ? strtoul(count, NULL, 10) : 0;
    return n > 0 && n < UINT32_MAX / 4 ? (uint32_t)n : fallback;
}

struct pair {
    struct fixture *f;
    struct bell bell;
    uint32_t records;
};

static void sleep_until_rung(struct pair *p)
{
    bell_prepare_sleep(&p->bell);
    if (ring_is_empty(&p->f->consumer)) {
        struct pollfd readable = {.fd = p->bell.fd, .events = POLLIN};
        /* A lost wake-up shows as a wait that never ends by itself. */
        assert_int_equal(poll(&readable, 1, 20000), 1);
    }
    bell_wake_up(&p->bell);
}

static void *produce(void *argument)
{
    struct pair *p = argument;
    uint32_t payload[64];
    for (uint32_t n = 0; n < p->records; n++) {
        uint32_t words = 1 + n % 64;
        for (uint32_t i = 0; i < words; i++)
            payload[i] = n;
        while (ring_put(&p->f->producer, payload, words * sizeof *payload) == EAGAIN)
            bell_ring(&p->bell);
        if (n % 7 == 0)
            bell_ring(&p->bell);
    }
    bell_ring(&p->bell);
    return NULL;
}

static void two_threads_lose_nothing_and_wake_each_other(void **state)
{
    struct pair p = {.f = *state, .bell = {.fd = eventfd(0, EFD_NONBLOCK)}, .records = count_or(200000)};
    pthread_t thread;
    assert_true(p.bell.fd >= 0);
    assert_int_equal(pthread_create(&thread, NULL, produce, &p), 0);
    for (uint32_t n = 0; n < p.records; n++) {
        int error;
        while ((error = take(p.f)) == EAGAIN)
            sleep_until_rung(&p);
        assert_int_equal(error, 0);
        assert_int_equal(p.f->taken.len, (1 + n % 64) * sizeof n);
        for (size_t i = 0; i < p.f->taken.len; i += sizeof n)
            assert_memory_equal(p.f->taken.base + i, &n, sizeof n);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    close(p.bell.fd);
}

#define CONTENDED_LINES 4

struct meeting {
    struct fixture *f;
    struct bell bell;
    uint32_t meetings;
    _Atomic uint32_t producer_round, sleeper_round;
    struct {
        _Alignas(64) _Atomic uint32_t line;
    } contended[CONTENDED_LINES];
};

/* Both leave at the same moment. */
static void meet(_Atomic uint32_t *own, _Atomic uint32_t *other, uint32_t round)
{
    atomic_store(own, round);
    for (unsigned spins = 0; atomic_load(other) < round; spins++)
        if (spins > 100000)
            sched_yield();
}

/* Fills this core's store buffer with stores that take long, so that the next one is seen late unless a barrier waits. */
static void fill_store_buffer(struct meeting *m, uint32_t n)
{
    for (int i = 0; i < CONTENDED_LINES; i++)
        atomic_store_explicit(&m->contended[i].line, n, memory_order_relaxed);
}

static void *put_and_ring(void *argument)
{
    struct meeting *m = argument;
    for (uint32_t n = 1; n <= m->meetings; n++) {
        meet(&m->producer_round, &m->sleeper_round, 2 * n);
        fill_store_buffer(m, n);
        int error = ring_put(&m->f->producer, &n, sizeof n);
        bell_ring(&m->bell);
        meet(&m->producer_round, &m->sleeper_round, 2 * n + 1);
        if (error)
            return "the ring was not empty";
    }
    return NULL;
}

/* Leaving either of the bell's two barriers out makes both sides miss each other. */
static void who_goes_to_sleep_while_something_comes_is_rung(void **state)
{
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
        skip(); /* one core sees its own stores in order */
    struct meeting m = {.f = *state, .bell = {.fd = eventfd(0, EFD_NONBLOCK)}, .meetings = count_or(1000000)};
    pthread_t thread;
    void *wrong;
    unsigned missed = 0;
    uint64_t count;
    assert_true(m.bell.fd >= 0);
    assert_int_equal(pthread_create(&thread, NULL, put_and_ring, &m), 0);
    for (uint32_t n = 1; n <= m.meetings; n++) {
        meet(&m.sleeper_round, &m.producer_round, 2 * n);
        fill_store_buffer(&m, n);
        bell_prepare_sleep(&m.bell);
        bool sleeps = ring_is_empty(&m.f->consumer);
        meet(&m.sleeper_round, &m.producer_round, 2 * n + 1);
        bool rung = read(m.bell.fd, &count, sizeof count) == sizeof count;
        missed += sleeps && !rung;
        bell_wake_up(&m.bell);
        assert_int_equal(take(m.f), 0);
    }
    assert_int_equal(pthread_join(thread, &wrong), 0);
    assert_null(wrong);
    assert_int_equal(missed, 0);
    close(m.bell.fd);
}

static void a_bell_is_heard_only_by_who_said_that_it_sleeps(void **state)
{
    (void)state;
    struct bell bell = {.fd = eventfd(0, EFD_NONBLOCK)};
    uint64_t count;
    bell_ring(&bell);
    assert_int_equal(read(bell.fd, &count, sizeof count), -1);
    bell_prepare_sleep(&bell);
    bell_ring(&bell);
    bell_ring(&bell); /* rung already */
    assert_int_equal(read(bell.fd, &count, sizeof count), sizeof count);
    assert_int_equal(count, 1);
    bell_wake_up(&bell);
    bell_ring(&bell);
    assert_int_equal(read(bell.fd, &count, sizeof count), -1);
    close(bell.fd);
}

static void a_bell_whose_ringer_died_can_still_be_rung(void **state)
{
    (void)state;
    struct bell bell = {.fd = eventfd(0, EFD_NONBLOCK)};
    uint64_t count;
    bell_prepare_sleep(&bell);
    atomic_store(&bell.asleep, 0); /* as bell_ring does, just before it rings */
    bell_ring(&bell);
    assert_int_equal(read(bell.fd, &count, sizeof count), -1);
    bell_ring_anyway(&bell);
    assert_int_equal(read(bell.fd, &count, sizeof count), sizeof count);
    close(bell.fd);
}

#define WITH_RING(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RING(records_come_out_in_order),
        WITH_RING(an_empty_record_is_a_record),
        WITH_RING(what_is_taken_is_appended),
        WITH_RING(records_wrap_around_at_every_offset),
        WITH_RING(a_full_ring_takes_no_more_until_something_was_taken),
        WITH_RING(the_greatest_payload_fits_wherever_the_ring_stands),
        WITH_RING(a_successor_goes_on_where_its_predecessor_died),
        WITH_RING(a_reset_empties_the_ring_and_mends_a_broken_one),
        WITH_RING(a_scribbled_tail_breaks_the_consumer_for_good),
        WITH_RING(a_tail_without_a_record_is_noticed),
        WITH_RING(a_scribbled_head_leaves_the_producer_no_room),
        WITH_RING(a_counter_off_its_alignment_breaks_who_attaches),
        WITH_RING(a_flipped_bit_in_a_head_is_never_taken_for_a_record),
        WITH_RING(random_bytes_never_crash_the_consumer),
        WITH_RING(two_threads_lose_nothing_and_wake_each_other),
        WITH_RING(who_goes_to_sleep_while_something_comes_is_rung),
        cmocka_unit_test(a_bell_is_heard_only_by_who_said_that_it_sleeps),
        cmocka_unit_test(a_bell_whose_ringer_died_can_still_be_rung),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
