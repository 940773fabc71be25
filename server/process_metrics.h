#ifndef TALEA_SERVER_PROCESS_METRICS_H
#define TALEA_SERVER_PROCESS_METRICS_H
/*
 * The talea_process_* families: what the kernel says of the master, the
 * arbiter and each worker, as Prometheus' process_* metrics do for one
 * process. A process that was replaced begins anew, with a new start time.
 */
#include "common/border.h"
#include "common/buffer.h"

/* To be called by a worker. What cannot be read, because that process has just died, is left out. */
void process_metrics_write(struct buffer *out, const struct border *border);

#endif
