#ifndef TALEA_COMMON_PROCESS_H
#define TALEA_COMMON_PROCESS_H
/*
 * What a process tells the kernel of itself, and what the kernel tells of
 * processes: proc(5).
 */
#include <stdint.h>
#include <sys/types.h>

/*
 * Whom the kernel is to kill first when memory runs out: a copy that can be
 * made again, then a worker, whose requests are retried; the arbiter goes last.
 */
#define OOM_SCORE_SNAPSHOT 900
#define OOM_SCORE_WORKER 300

/* Raises oom_score_adj of the calling process to `score`; a higher one stays. A kernel that refuses changes nothing. */
void process_set_oom_score(int score);

/* Nanoseconds of CPU that the process has used, all its threads together; 0: it is not there. */
uint64_t process_cpu_ns(pid_t pid);

#endif
