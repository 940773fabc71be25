#ifndef TALEA_SERVER_WORKER_CALLS_H
#define TALEA_SERVER_WORKER_CALLS_H
/*
 * The system calls of a worker that is set up: it accepts connections, but
 * makes no socket; it reads files, but opens none for writing save LMDB's lock
 * file and the log file; it starts, signals and traces no process.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* See system_calls.h. `has_log_file`: it may open that again. 0 or errno. */
int worker_calls_confine(bool has_log_file, _Atomic int32_t *forbidden) __attribute__((warn_unused_result));

#endif
