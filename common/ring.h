#ifndef TALEA_COMMON_RING_H
#define TALEA_COMMON_RING_H
/*
 * A ring of records in shared memory between exactly one producer and one
 * consumer, and the bell that wakes who sleeps.
 *
 * Record: u32 length, u32 check, then the payload, padded to 8 bytes; a length
 * of RING_WRAP says that the rest up to the end is unused. head and tail count
 * bytes since the reset and never wrap. The producer writes the payload, then
 * publishes with one release store of tail; the consumer loads tail once with
 * acquire and gives room back with a release store of head.
 *
 * The consumer trusts nothing it finds: tail and lengths are loaded once,
 * bounded, and the payload is copied out before anybody parses it. A ring
 * whose bookkeeping makes no sense reads as EBADMSG and stays that way until
 * it is reset.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"

/* In shared memory. */
struct ring_control {
    _Alignas(64) _Atomic uint64_t tail; /* bytes published; written by the producer */
    _Alignas(64) _Atomic uint64_t head; /* bytes consumed; written by the consumer */
};

/* One side's private view of it. */
struct ring {
    struct ring_control *control;
    uint8_t *bytes;
    uint64_t capacity; /* a power of two */
    uint64_t position; /* own counter: the producer's tail, the consumer's head */
    uint64_t seen;     /* the other side's counter, as last loaded */
    bool broken;       /* what stands in the mapping makes no sense */
};

#define RING_RECORD_OVERHEAD 8

/* The greatest payload that always fits into an empty ring. */
static inline uint64_t ring_payload_max(uint64_t capacity)
{
    return capacity / 2 - RING_RECORD_OVERHEAD;
}

/* Empties the ring. Neither side may be using it. */
void ring_reset(struct ring_control *control);

/*
 * Attach after the last reset, or where a predecessor that died has left off.
 * `bytes` is aligned to 8. A ring whose own counter was scribbled over is
 * broken: nothing can be put into it or taken out of it until it is reset.
 */
void ring_attach_producer(struct ring *ring, struct ring_control *control, void *bytes, uint64_t capacity);
void ring_attach_consumer(struct ring *ring, struct ring_control *control, void *bytes, uint64_t capacity);

/* Producer. 0, or EAGAIN when there is no room (never any in a broken ring), or EMSGSIZE when it never fits. */
int ring_put(struct ring *ring, const void *payload, size_t length) __attribute__((warn_unused_result));

/*
 * Consumer: appends the next payload to `out`. 0, EAGAIN when the ring is
 * empty, or EBADMSG when the producer wrote nonsense (sticky).
 */
int ring_take(struct ring *ring, struct buffer *out) __attribute__((warn_unused_result));

/* Consumer: is there nothing to take? Reads shared memory afresh. A broken ring is not empty: ring_take says so. */
bool ring_is_empty(struct ring *ring);

/* Consumer: bytes that wait, for gauges. Any process may call it with the control alone. */
uint64_t ring_waiting_bytes(const struct ring_control *control);

/*
 * A bell: who sleeps on an eventfd says so first, and who publishes rings only
 * then. Both sides need a full barrier between their own store and the look at
 * the other's, else both can miss each other and the sleeper stalls:
 *
 *   sleeper:  bell_prepare_sleep; look at every ring again;
 *             empty: bell_wait (or poll the eventfd); then bell_wake_up
 *   ringer:   publish; bell_ring
 */
struct bell {
    _Alignas(64) _Atomic uint32_t asleep; /* 1 while the owner sleeps or is about to; written by both */
    int fd;                               /* eventfd, inherited by every process */
};

void bell_prepare_sleep(struct bell *bell);
void bell_wait(struct bell *bell, int timeout_ms); /* until it is rung, or for that long; -1: no bound */
void bell_wake_up(struct bell *bell); /* clears the flag and the eventfd */
void bell_ring(struct bell *bell);    /* after publishing; cheap while the owner is awake */

/*
 * Wakes the owner whatever the flag says. For who reaps a process: it may have
 * died in bell_ring, when it had taken the flag and not rung yet; nobody else
 * would ring then. Safe in a signal handler.
 */
void bell_ring_anyway(struct bell *bell);

#endif
