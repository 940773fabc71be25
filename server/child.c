#include "server/child.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/exit_status.h"
#include "common/report.h"
#include "common/system_calls.h"
#include "common/rfc3339.h"

#define SHORT_LIFE_MS 1000 /* a child that lived no longer has crashed at its start */
#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 5000

pid_t child_fork(struct child *child, pid_t master)
{
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != master)
            _exit(EXIT_STATUS_ORPHANED);
        return 0;
    }
    child->started_ns = clock_monotonic_ns();
    child->start_again_ns = 0;
    child->leaving = false;
    child->pid = pid > 0 ? pid : 0;
    if (pid < 0) {
        report(REPORT_ERROR, "fork: %s; tried again in %d ms", strerror(errno), BACKOFF_MAX_MS);
        child->start_again_ns = child->started_ns + BACKOFF_MAX_MS * 1000000ull;
    }
    return pid;
}

bool child_is_waiting(const struct child *child)
{
    return child->pid == 0 && child->start_again_ns != 0;
}

bool child_serves(const struct child *child)
{
    return (child->pid != 0 && !child->leaving) || child_is_waiting(child);
}

static const char *exit_word(int status)
{
    switch (status) {
    case EXIT_STATUS_OK:
        return "left";
    case EXIT_STATUS_FAILED:
        return "failed";
    case EXIT_STATUS_NO_MEMORY:
        return "ran out of memory";
    case EXIT_STATUS_CORRUPT:
        return "found the ledger damaged";
    case EXIT_STATUS_COMMIT_FAILED:
        return "could not make a batch durable";
    case EXIT_STATUS_LOCKED:
        return "found the directory locked";
    case EXIT_STATUS_ORPHANED:
        return "lost its master";
    case EXIT_STATUS_REBUILD:
        return "threw damaged idempotency keys away";
    default:
        return "exited";
    }
}

/* Not at all, unless it keeps dying young. */
static unsigned next_backoff(struct child *child)
{
    uint64_t lived_ms = (clock_monotonic_ns() - child->started_ns) / 1000000;
    if (lived_ms >= SHORT_LIFE_MS)
        child->backoff_ms = 0;
    else
        child->backoff_ms = child->backoff_ms == 0                      ? BACKOFF_FIRST_MS
                            : child->backoff_ms * 2 < BACKOFF_MAX_MS ? child->backoff_ms * 2
                                                                        : BACKOFF_MAX_MS;
    return child->backoff_ms;
}

static void word_forbidden_call(struct child *child)
{
    char call[SYSTEM_CALL_NAME_MAX];
    system_call_name(atomic_load(child->forbidden_call), call);
    snprintf(child->last_death, sizeof child->last_death,
             "made the forbidden system call %s (status %d; see TALEA_SECCOMP)", call, EXIT_STATUS_FORBIDDEN_CALL);
}

void child_report_death(struct child *child, const char *name, int status, const char *what_now)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_STATUS_FORBIDDEN_CALL && child->forbidden_call)
        word_forbidden_call(child);
    else if (WIFSIGNALED(status))
        snprintf(child->last_death, sizeof child->last_death, "was killed by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(child->last_death, sizeof child->last_death, "%s (status %d)", exit_word(WEXITSTATUS(status)),
                 WEXITSTATUS(status));
    child->deaths++;
    report(REPORT_ERROR, "%s %d %s; %s", name, (int)child->pid, child->last_death, what_now);
}

void child_replace(struct child *child, const char *name, int status)
{
    char what_now[64] = "another is started at once";
    unsigned wait_ms = next_backoff(child);
    if (wait_ms)
        snprintf(what_now, sizeof what_now, "another is started in %u ms", wait_ms);
    child_report_death(child, name, status, what_now);
    child->start_again_ns = clock_monotonic_ns() + wait_ms * 1000000ull;
    child->pid = 0;
}
