#ifndef TALEA_SERVER_CHILD_H
#define TALEA_SERVER_CHILD_H
/*
 * A process that the master keeps alive: the arbiter or a worker. The master
 * alone calls these, but for what fork hands to the child.
 *
 * The life of one: none (pid 0, nothing due), running, leaving (it was told
 * to and will not be replaced), waiting (pid 0, start_again_ns set: it died
 * and another is due).
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define DEATH_TEXT_BYTES 128

struct child {
    pid_t pid; /* 0: none runs */
    uint64_t started_ns;
    uint64_t start_again_ns; /* 0: not waiting to be started */
    unsigned backoff_ms;     /* before the last start; 0: it came at once */
    uint64_t deaths;         /* by itself, over all processes that had this place */
    char last_death[DEATH_TEXT_BYTES]; /* "was killed by signal 9 (Killed)"; "": none */
    const _Atomic int32_t *forbidden_call; /* where one says what it died of: EXIT_STATUS_FORBIDDEN_CALL */
    bool leaving;
    uint64_t leave_deadline_ns; /* when it is killed, if it has not left */
    uint32_t version;           /* of the settings that it was started with */
};

/*
 * fork(2). In the child: it dies with the master, and 0 is returned. In the
 * master: the pid, or -1 (said so; another try is due).
 */
pid_t child_fork(struct child *child, pid_t master);

bool child_is_waiting(const struct child *child);
/* Runs or waits to be started, and is not leaving. */
bool child_serves(const struct child *child);

/* After waitpid. Says what it died of, sets when another is started, and says that too. */
void child_replace(struct child *child, const char *name, int status);
/* Says what it died of, and what that means. */
void child_report_death(struct child *child, const char *name, int status, const char *what_now);

#endif
