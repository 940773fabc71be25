#ifndef TALEA_COMMON_EXIT_STATUS_H
#define TALEA_COMMON_EXIT_STATUS_H
/* Exit statuses of talead and of its processes; documented in talead(8). */

#define EXIT_STATUS_OK 0
#define EXIT_STATUS_FAILED 1        /* refused to start; stderr says why in one line */
#define EXIT_STATUS_USAGE 2         /* wrong command line */
#define EXIT_STATUS_NO_MEMORY 3
#define EXIT_STATUS_CORRUPT 4       /* the ledger's files are damaged or foreign: a person must look */
#define EXIT_STATUS_COMMIT_FAILED 5 /* arbiter: a write or fdatasync of the log failed; the restart proves the tail */
#define EXIT_STATUS_LOCKED 6        /* arbiter: another process holds the data directory */
#define EXIT_STATUS_ORPHANED 7      /* a worker or the arbiter lost its master */
#define EXIT_STATUS_REBUILD 8       /* arbiter: threw damaged idempotency keys away; the restart rebuilds them */
#define EXIT_STATUS_FORBIDDEN_CALL 9 /* a child made a system call that its filter forbids; the master's log names it */

#endif
