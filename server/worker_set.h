#ifndef TALEA_SERVER_WORKER_SET_H
#define TALEA_SERVER_WORKER_SET_H
/*
 * The workers: as many as wanted, all with the newest settings. A new one takes
 * connections before an old one leaves, so none is ever refused. Master alone.
 */
#include <stdbool.h>
#include <stdint.h>

#define WORKERS_MAX 64 /* that may be wanted; the setting's range */

struct master;

/* Starts what lacks, tells to leave what is too many or too old, starts again what is due, kills what does not leave. */
void worker_set_settle(struct master *master);

/* After waitpid. False when `pid` is no worker. */
bool worker_set_died(struct master *master, int pid, int status);

uint32_t worker_set_serving(const struct master *master); /* running or about to be started again */
uint32_t worker_set_leaving(const struct master *master);
bool worker_set_empty(const struct master *master); /* no process is left */

void worker_set_drain(struct master *master); /* all, for a stop */
void worker_set_signal(struct master *master, int signal_number);
void worker_set_ring(struct master *master);

/* When worker_set_settle has something to do; CLOCK_MONOTONIC, UINT64_MAX: nothing is due. */
uint64_t worker_set_due_ns(const struct master *master);

#endif
