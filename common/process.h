#ifndef TALEA_COMMON_PROCESS_H
#define TALEA_COMMON_PROCESS_H
/*
 * What a process tells the kernel of itself, and what the kernel tells of
 * processes: proc(5). And threads beside the one that a process begins with.
 */
#include <pthread.h>
#include <stdbool.h>
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

/* Raises the soft limit of open files to the hard one, for this process and those it will fork. The limit then. */
uint64_t process_raise_open_files(void);

/* Starts a thread that takes no signal: all are left to the thread that calls. 0 or errno. */
int process_start_thread(pthread_t *thread, void *(*run)(void *), void *context) __attribute__((warn_unused_result));

/* CPUs that the calling process may run on, 1 at least. */
uint32_t process_cpu_count(void);

/* File descriptors that the calling process has open; 0: the kernel does not tell. */
uint32_t process_open_fds(void);

/* Of /proc/<pid>/stat. Ticks are those of sysconf(_SC_CLK_TCK); times are those of all threads together. */
struct process_stat {
    char state; /* 'Z': dead, and its parent has not asked yet */
    pid_t parent;
    uint64_t cpu_ticks;   /* user and system time */
    uint64_t start_ticks; /* since the machine started */
    uint64_t resident_pages;
};
/* False: it is not there. */
bool process_read_stat(pid_t pid, struct process_stat *out);

#endif
