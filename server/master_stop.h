#ifndef TALEA_SERVER_MASTER_STOP_H
#define TALEA_SERVER_MASTER_STOP_H
/*
 * How talead ends: workers finish what they have, within a time, and then the
 * arbiter, which no worker needs any more, seals the log. Master alone.
 */
#include <stdbool.h>

struct master;

/* Begins it, once; `fast` gives requests under way a second, else what the setting says. Also makes a slow one fast. */
void master_stop(struct master *master, bool fast);

/* While stopping: takes the next step when it is time. True when nothing is left. */
bool master_go_on_stopping(struct master *master);

/*
 * Told to stop again. Workers need not finish; an arbiter that still recovers
 * holds nothing anybody waits for, and the next start recovers anew. One that
 * has recovered seals its log in any case.
 */
void master_hasten(struct master *master);

#endif
