#ifndef TALEA_BENCH_CONNECTIONS_H
#define TALEA_BENCH_CONNECTIONS_H
/* One thread's connections, from the first to the last request of a run. */

/* A thread's function, of a struct worker. */
void *connections_run(void *worker);

#endif
