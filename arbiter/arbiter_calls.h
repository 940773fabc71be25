#ifndef TALEA_ARBITER_ARBITER_CALLS_H
#define TALEA_ARBITER_ARBITER_CALLS_H
/*
 * The system calls of the arbiter, its threads and the copies of itself that
 * make snapshots: files of all kinds, and no socket, no program, no tracing.
 */
#include <stdatomic.h>
#include <stdint.h>

/* See system_calls.h; before the first thread. 0 or errno. */
int arbiter_calls_confine(_Atomic int32_t *forbidden) __attribute__((warn_unused_result));

#endif
