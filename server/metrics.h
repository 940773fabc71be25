#ifndef TALEA_SERVER_METRICS_H
#define TALEA_SERVER_METRICS_H
/*
 * Counting requests, and the page that shows all counters of all processes
 * from the shared mapping, whichever worker is asked. A label never holds
 * what a client chose.
 */
#include <stdint.h>

#include "common/border.h"
#include "server/routes.h"

struct exchange;

void metrics_count_request(struct worker_counters *counters, enum route_id route, enum http_method method, int status,
                           uint64_t duration_ns);

/* GET /metrics, on the metrics listener. */
void handle_get_metrics(struct exchange *exchange);

#endif
