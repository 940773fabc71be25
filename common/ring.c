#include "common/ring.h"

/*
 * Each side keeps its own counter in private memory and reads the other's from
 * the mapping; what lies there is loaded once, bounded, and never asked again.
 * The check word of a record is its position, mixed with a constant: a
 * producer that lost its way is noticed, and so are stale bytes of an earlier
 * lap. It is no protection against malice; bounds are.
 *
 * The trap: who attaches after a crash takes even its own counter from the
 * mapping, where the other process may have scribbled. Records are aligned, so
 * a counter that is not would put a record's head across the end of the ring.
 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define RING_ALIGNMENT 8
#define RING_WRAP UINT32_MAX
#define CHECK_MIX 0x7a1ea001u

struct record_head {
    uint32_t length;
    uint32_t check;
};
_Static_assert(sizeof(struct record_head) == RING_RECORD_OVERHEAD, "shared memory layout");

void ring_reset(struct ring_control *control)
{
    atomic_store(&control->tail, 0);
    atomic_store(&control->head, 0);
}

static void attach(struct ring *ring, struct ring_control *control, void *bytes, uint64_t capacity)
{
    assert(capacity >= 64 && (capacity & (capacity - 1)) == 0 && (uintptr_t)bytes % RING_ALIGNMENT == 0);
    *ring = (struct ring){.control = control, .bytes = bytes, .capacity = capacity};
}

void ring_attach_producer(struct ring *ring, struct ring_control *control, void *bytes, uint64_t capacity)
{
    attach(ring, control, bytes, capacity);
    ring->position = atomic_load(&control->tail);
    ring->seen = atomic_load(&control->head);
    ring->broken = ring->position % RING_ALIGNMENT != 0;
}

void ring_attach_consumer(struct ring *ring, struct ring_control *control, void *bytes, uint64_t capacity)
{
    attach(ring, control, bytes, capacity);
    ring->position = atomic_load(&control->head);
    ring->seen = atomic_load(&control->tail);
    ring->broken = ring->position % RING_ALIGNMENT != 0;
}

static uint32_t check_word(uint64_t position)
{
    return (uint32_t)position ^ (uint32_t)(position >> 32) ^ CHECK_MIX;
}

static uint64_t padded(uint64_t length)
{
    return (RING_RECORD_OVERHEAD + length + RING_ALIGNMENT - 1) & ~(uint64_t)(RING_ALIGNMENT - 1);
}

/* --- producer --- */

/* Bytes that may be written now. A head that makes no sense (a scribbled one) counts as a full ring. */
static uint64_t room(struct ring *ring)
{
    uint64_t used = ring->position - ring->seen;
    return used <= ring->capacity && !ring->broken ? ring->capacity - used : 0;
}

static bool has_room(struct ring *ring, uint64_t need)
{
    if (room(ring) >= need)
        return true;
    ring->seen = atomic_load_explicit(&ring->control->head, memory_order_acquire);
    return room(ring) >= need;
}

static void write_head(struct ring *ring, uint64_t position, uint32_t length)
{
    struct record_head head = {length, check_word(position)};
    memcpy(ring->bytes + (position & (ring->capacity - 1)), &head, sizeof head);
}

int ring_put(struct ring *ring, const void *payload, size_t length)
{
    if (length > ring_payload_max(ring->capacity))
        return EMSGSIZE;
    uint64_t need = padded(length);
    uint64_t to_end = ring->capacity - (ring->position & (ring->capacity - 1));
    uint64_t skipped = need > to_end ? to_end : 0;
    if (!has_room(ring, skipped + need))
        return EAGAIN;
    if (skipped)
        write_head(ring, ring->position, RING_WRAP);
    uint64_t position = ring->position + skipped;
    write_head(ring, position, (uint32_t)length);
    if (length)
        memcpy(ring->bytes + (position & (ring->capacity - 1)) + RING_RECORD_OVERHEAD, payload, length);
    ring->position = position + need;
    atomic_store_explicit(&ring->control->tail, ring->position, memory_order_release);
    return 0;
}

/* --- consumer --- */

static int broken(struct ring *ring)
{
    ring->broken = true;
    return EBADMSG;
}

/* 0 when something is published and the bookkeeping makes sense. */
static int look(struct ring *ring)
{
    if (ring->broken)
        return EBADMSG;
    if (ring->seen == ring->position)
        ring->seen = atomic_load_explicit(&ring->control->tail, memory_order_acquire);
    uint64_t published = ring->seen - ring->position;
    if (published == 0)
        return EAGAIN;
    if (published > ring->capacity || published % RING_ALIGNMENT != 0)
        return broken(ring);
    return 0;
}

static int read_head(struct ring *ring, struct record_head *head)
{
    const uint8_t *place = ring->bytes + (ring->position & (ring->capacity - 1));
    /* One atomic load: after a plain one the compiler may look again once the bounds are checked. */
    uint64_t word = __atomic_load_n((const uint64_t *)(const void *)place, __ATOMIC_RELAXED);
    memcpy(head, &word, sizeof *head);
    return head->check == check_word(ring->position) ? 0 : broken(ring);
}

static void give_back(struct ring *ring, uint64_t bytes)
{
    ring->position += bytes;
    atomic_store_explicit(&ring->control->head, ring->position, memory_order_release);
}

int ring_take(struct ring *ring, struct buffer *out)
{
    struct record_head head;
    int error = look(ring);
    if (error == 0)
        error = read_head(ring, &head);
    if (error)
        return error;
    if (head.length == RING_WRAP) {
        uint64_t to_end = ring->capacity - (ring->position & (ring->capacity - 1));
        if (to_end >= ring->seen - ring->position) /* a wrap marker is published together with its record */
            return broken(ring);
        give_back(ring, to_end);
        error = read_head(ring, &head);
        if (error)
            return error;
    }
    uint64_t offset = ring->position & (ring->capacity - 1);
    if (head.length > ring_payload_max(ring->capacity) || padded(head.length) > ring->seen - ring->position ||
        padded(head.length) > ring->capacity - offset)
        return broken(ring);
    buffer_append(out, ring->bytes + offset + RING_RECORD_OVERHEAD, head.length);
    give_back(ring, padded(head.length));
    return 0;
}

bool ring_is_empty(struct ring *ring)
{
    return !ring->broken && atomic_load_explicit(&ring->control->tail, memory_order_acquire) == ring->position;
}

uint64_t ring_waiting_bytes(const struct ring_control *control)
{
    uint64_t head = atomic_load_explicit(&control->head, memory_order_relaxed);
    uint64_t tail = atomic_load_explicit(&control->tail, memory_order_relaxed);
    return tail > head ? tail - head : 0;
}

/* --- bell --- */

void bell_prepare_sleep(struct bell *bell)
{
    atomic_store_explicit(&bell->asleep, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
}

void bell_wait(struct bell *bell, int timeout_ms)
{
    struct pollfd rung = {.fd = bell->fd, .events = POLLIN};
    (void)poll(&rung, 1, timeout_ms); /* a signal ends it early: its caller looks again anyway */
}

void bell_wake_up(struct bell *bell)
{
    uint64_t count;
    atomic_store_explicit(&bell->asleep, 0, memory_order_relaxed);
    ssize_t n = read(bell->fd, &count, sizeof count);
    (void)n; /* EAGAIN: nobody has rung */
}

void bell_ring_anyway(struct bell *bell)
{
    static const uint64_t one = 1;
    ssize_t n = write(bell->fd, &one, sizeof one);
    (void)n; /* EAGAIN: the counter is full, the sleeper wakes anyway */
}

void bell_ring(struct bell *bell)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&bell->asleep, memory_order_relaxed) == 0)
        return;
    if (atomic_exchange_explicit(&bell->asleep, 0, memory_order_relaxed) == 0)
        return;
    bell_ring_anyway(bell);
}
