#include "common/process.h"

#include <dirent.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a process that is not dumpable has in /proc belongs to root, so it is dumpable for as long as this takes. */
static FILE *open_oom_score(void)
{
    int dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
    if (dumpable != 1)
        (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    FILE *file = fopen("/proc/self/oom_score_adj", "r+e");
    if (dumpable == 0)
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    return file;
}

void process_set_oom_score(int score)
{
    int now = 0;
    FILE *file = open_oom_score();
    if (!file)
        return;
    if (fscanf(file, "%d", &now) == 1 && now < score) {
        rewind(file);
        fprintf(file, "%d", score);
    }
    fclose(file);
}

uint64_t process_raise_open_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return UINT64_MAX;
    struct rlimit raised = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
    return setrlimit(RLIMIT_NOFILE, &raised) == 0 ? raised.rlim_cur : limit.rlim_cur;
}

int process_start_thread(pthread_t *thread, void *(*run)(void *), void *context)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(thread, NULL, run, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

uint32_t process_cpu_count(void)
{
    cpu_set_t set;
    long count = sched_getaffinity(0, sizeof set, &set) == 0
                     ? CPU_COUNT(&set)
                     : sysconf(_SC_NPROCESSORS_ONLN); /* more than 1024 */
    return count < 1 ? 1 : (uint32_t)count;
}

bool process_read_stat(pid_t pid, struct process_stat *out)
{
    char path[64], text[1024];
    uint64_t user, system;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = '\0';
    /* Behind the name, which may hold anything: fields 3, 4, 14, 15, 22 and 24 of proc(5). */
    const char *rest = strrchr(text, ')');
    if (!rest || sscanf(rest + 1,
                        " %c %d %*s %*s %*s %*s %*s %*s %*s %*s %*s %" SCNu64 " %" SCNu64
                        " %*s %*s %*s %*s %*s %*s %" SCNu64 " %*s %" SCNu64,
                        &out->state, &out->parent, &user, &system, &out->start_ticks, &out->resident_pages) != 6)
        return false;
    out->cpu_ticks = user + system;
    return true;
}

uint32_t process_open_fds(void)
{
    struct stat status;
    if (stat("/proc/self/fd", &status) == 0 && status.st_size > 0)
        return (uint32_t)status.st_size; /* Linux 6.2 and later */
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return 0;
    uint32_t count = 0;
    for (struct dirent *entry; (entry = readdir(dir));)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count - 1; /* the one it was counted with */
}
