#ifndef TALEA_SERVER_WATCH_H
#define TALEA_SERVER_WATCH_H
/*
 * Do arbiter and workers make progress? Each notes the time at every turn of
 * its loop, once a second at the least (border.h). Who has not for
 * TALEA_HANG_TIMEOUT_SECS is killed, and replaced as any that dies; and the
 * service manager's watchdog is fed only while none is silent. Master alone.
 */

struct master;

/* Once: reads what the service manager wants. */
void watch_begin(struct master *master);
/* Once a second. */
void watch(struct master *master);

#endif
