#ifndef TALEA_BENCH_SUBSCRIBERS_H
#define TALEA_BENCH_SUBSCRIBERS_H
/*
 * Streams of one book's events, read by a thread of their own while others
 * post. Each stream must bring every event behind the first mark once and in
 * order. An event's delay is from its `at`, when it was committed, to its
 * arrival here, by this machine's one clock.
 */
#include <stdint.h>

#include "tests/bench/engine.h"

struct subscribers;

/* Opens so many streams and waits until each is answered. 0 or an errno, said. */
int subscribers_start(struct subscribers **subscribers, struct engine *engine, uint32_t book, uint64_t from_seq,
                      uint32_t count) __attribute__((warn_unused_result));

/*
 * Waits until each stream has brought that seq, and adds the delays of the
 * events that came while the engine measured. EBADMSG: one did not bring it in
 * time, or events are missing or came twice, said.
 */
int subscribers_finish(struct subscribers **subscribers, uint64_t last_seq, struct histogram *delays)
    __attribute__((warn_unused_result));

#endif
