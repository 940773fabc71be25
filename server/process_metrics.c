#include "server/process_metrics.h"

/*
 * A pid of the border may belong to a process that is dead by now, and in the
 * end to a stranger: only what has the master for its parent is shown.
 *
 * The kernel tells start times in ticks since boot. They are shown relative to
 * the master's, which knows by the clock when it started: so a process keeps
 * its start time when the clock is set, whichever worker is asked.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/process.h"
#include "server/metrics_text.h"

#define UNKNOWN UINT64_MAX

struct process {
    pid_t pid;
    char labels[48]; /* process="worker",worker="0" */
    uint64_t cpu_ticks, start_ticks, resident_bytes;
    uint64_t open_fds, max_fds; /* UNKNOWN: not told */
};

struct processes {
    struct process all[2 + WORKER_MAX];
    size_t count;
    uint64_t master_start_ticks, ticks_per_s;
    const struct border *border;
};

/* --- reading --- */

/* False: it is gone, or only its exit status is left, or it is not what `parent` has started (0: whoever's). */
static bool read_figures(struct process *p, pid_t parent)
{
    struct process_stat stat;
    if (!process_read_stat(p->pid, &stat))
        return false;
    p->cpu_ticks = stat.cpu_ticks;
    p->start_ticks = stat.start_ticks;
    p->resident_bytes = stat.resident_pages * (uint64_t)sysconf(_SC_PAGESIZE);
    return stat.state != 'Z' && stat.state != 'X' && (parent == 0 || stat.parent == parent);
}

/* A process that is not dumpable shows them to root and itself, unless the kernel tells their number to all. */
static uint64_t count_open_fds(pid_t pid, uint32_t told)
{
    char path[64];
    struct stat status;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    if (stat(path, &status) == 0 && status.st_size > 0)
        return (uint64_t)status.st_size; /* Linux 6.2 and later */
    DIR *dir = opendir(path);
    if (!dir)
        return told ? told : UNKNOWN;
    uint64_t count = 0;
    for (struct dirent *entry; (entry = readdir(dir));)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return pid == getpid() ? count - 1 : count; /* the one it was counted with */
}

static uint64_t read_max_fds(pid_t pid)
{
    struct rlimit limit;
    return prlimit(pid, RLIMIT_NOFILE, NULL, &limit) == 0 ? limit.rlim_cur : UNKNOWN;
}

/* Takes the process up if it lives; its labels are in its place already. */
static void add_process(struct processes *list, pid_t pid, pid_t parent, uint32_t fds_told)
{
    struct process *p = &list->all[list->count];
    p->pid = pid;
    if (pid <= 0 || !read_figures(p, parent))
        return;
    p->open_fds = count_open_fds(pid, fds_told);
    p->max_fds = read_max_fds(pid);
    list->count++;
}

static void read_processes(struct processes *list)
{
    const struct border *border = list->border;
    pid_t master = getppid();
    strcpy(list->all[0].labels, "process=\"master\"");
    add_process(list, master, 0, atomic_load(&border->master_open_fds));
    if (list->count == 0)
        return;
    list->master_start_ticks = list->all[0].start_ticks;
    strcpy(list->all[list->count].labels, "process=\"arbiter\"");
    add_process(list, atomic_load(&border->arbiter_pid), master, atomic_load(&border->arbiter_open_fds));
    for (int n = 0; n < WORKER_MAX; n++) {
        if (atomic_load(&border->worker[n].generation) == 0)
            continue;
        struct process *next = &list->all[list->count];
        snprintf(next->labels, sizeof next->labels, "process=\"worker\",worker=\"%d\"", n);
        add_process(list, atomic_load(&border->worker[n].pid), master, atomic_load(&border->worker[n].open_fds));
    }
}

/* --- writing --- */

static void write_ticks(struct buffer *out, const struct processes *list, uint64_t ticks)
{
    metric_seconds(out, ticks / list->ticks_per_s * 1000000000u +
                            ticks % list->ticks_per_s * 1000000000u / list->ticks_per_s);
}

static void write_cpu_seconds(struct buffer *out, const struct processes *list)
{
    static const char name[] = "talea_process_cpu_seconds_total";
    metric_family(out, name, "counter", "Processor time that the process has used, in user and system mode.");
    for (const struct process *p = list->all; p < list->all + list->count; p++) {
        buffer_printf(out, "%s{%s} ", name, p->labels);
        write_ticks(out, list, p->cpu_ticks);
        buffer_append_string(out, "\n");
    }
}

static void write_start_times(struct buffer *out, const struct processes *list)
{
    static const char name[] = "talea_process_start_time_seconds";
    metric_family(out, name, "gauge", "When the process started, since the epoch.");
    for (const struct process *p = list->all; p < list->all + list->count; p++) {
        uint64_t after_us = (p->start_ticks - list->master_start_ticks) * 1000000u / list->ticks_per_s;
        buffer_printf(out, "%s{%s} ", name, p->labels);
        metric_seconds(out, (list->border->started_at_us + after_us) * 1000u);
        buffer_append_string(out, "\n");
    }
}

static void write_figure(struct buffer *out, const struct processes *list, const char *name, const char *help,
                         size_t offset)
{
    metric_family(out, name, "gauge", help);
    for (const struct process *p = list->all; p < list->all + list->count; p++) {
        uint64_t value = *(const uint64_t *)((const char *)p + offset);
        if (value != UNKNOWN)
            buffer_printf(out, "%s{%s} %" PRIu64 "\n", name, p->labels, value);
    }
}

void process_metrics_write(struct buffer *out, const struct border *border)
{
    struct processes list = {.border = border, .ticks_per_s = (uint64_t)sysconf(_SC_CLK_TCK)};
    read_processes(&list);
    write_cpu_seconds(out, &list);
    write_figure(out, &list, "talea_process_resident_memory_bytes",
                 "Memory of the process, files that it maps included.", offsetof(struct process, resident_bytes));
    write_figure(out, &list, "talea_process_open_fds", "Open file descriptors of the process.",
                 offsetof(struct process, open_fds));
    write_figure(out, &list, "talea_process_max_fds", "File descriptors that the process may have open.",
                 offsetof(struct process, max_fds));
    write_start_times(out, &list);
}
