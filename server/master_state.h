#ifndef TALEA_SERVER_MASTER_STATE_H
#define TALEA_SERVER_MASTER_STATE_H
/*
 * What the master knows. For its own modules alone: master.c (the loop),
 * master_stop.c, master_commands.c, worker_set.c, watch.c, reload.c, status.c.
 * One thread, so nothing here is shared but what the border says.
 */
#include "common/border.h"
#include "common/settings.h"
#include "server/child.h"
#include "server/control.h"
#include "server/status.h"
#include "server/tokens.h"

/*
 * STARTING (no workers yet: the arbiter recovers), SERVING, STOPPING (workers
 * finish what they have, then the arbiter seals the log; the end).
 */
enum master_state { MASTER_STARTING, MASTER_SERVING, MASTER_STOPPING };

struct master {
    enum master_state state;
    const char *config_path; /* NULL: none */
    struct settings settings;
    uint32_t settings_version; /* counts reloads, from 1 */
    char *token_of_environment; /* NULL: none; environ(7) does not hold it any more */
    struct tokens *tokens;
    struct border *border;
    int api_fd, metrics_fd, signal_fd;
    struct child arbiter;
    struct child worker[WORKER_MAX];
    uint32_t workers_wanted;
    struct control *control; /* NULL until the arbiter has the directory */
    struct status *status;
    uint64_t stop_deadline_ns;
    uint64_t watchdog_ns; /* between two signs of life for the service manager; 0: it wants none */
    uint64_t watchdog_fed_ns;
    uint64_t ticked_ns;
    uint64_t watched_since_ns; /* a child's silence counts from here on at the earliest */
    uint32_t recovery_percent_told;
    int exit_status; /* once it is known to be other than 0 */
    pid_t pid;
};

#endif
