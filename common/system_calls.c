#include "common/system_calls.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/exit_status.h"
#include "common/sanitizer.h"

/* What the C library and our own modules do everywhere. No memory is ever made executable. */
static const struct allowed_call everywhere[] = {
    ALLOW_CALL(brk),
    {SCMP_SYS(mmap), 2, PROT_EXEC, 0},
    {SCMP_SYS(mprotect), 2, PROT_EXEC, 0},
    ALLOW_CALL(munmap),
    ALLOW_CALL(mremap),
    ALLOW_CALL(madvise),
    ALLOW_CALL(clock_gettime),
    ALLOW_CALL(clock_getres),
    ALLOW_CALL(clock_nanosleep),
    ALLOW_CALL(nanosleep),
    ALLOW_CALL(gettimeofday),
    ALLOW_CALL(time),
    ALLOW_CALL(read),
    ALLOW_CALL(readv),
    ALLOW_CALL(pread64),
    ALLOW_CALL(preadv),
    ALLOW_CALL(write),
    ALLOW_CALL(writev),
    ALLOW_CALL(close),
    ALLOW_CALL(fstat),
    ALLOW_CALL(stat),
    ALLOW_CALL(lstat),
    ALLOW_CALL(newfstatat),
    ALLOW_CALL(statx),
    ALLOW_CALL(lseek),
    ALLOW_CALL(fcntl),
    ALLOW_CALL(dup3), /* the log file, opened anew */
    ALLOW_CALL(getdents64),
    ALLOW_CALL(access),
    ALLOW_CALL(faccessat),
    ALLOW_CALL(faccessat2),
    ALLOW_CALL(fadvise64),
    ALLOW_CALL(fstatfs),
    {SCMP_SYS(ioctl), 1, UINT32_MAX, TCGETS}, /* isatty */
    ALLOW_CALL(ftruncate), /* LMDB: its lock file */
    ALLOW_CALL(uname),     /* LMDB: may fdatasync be trusted? */
    ALLOW_CALL(poll),
    ALLOW_CALL(ppoll),
    ALLOW_CALL(futex),
    ALLOW_CALL(sched_yield),
    ALLOW_CALL(sched_getaffinity), /* malloc: how many arenas? */
    ALLOW_CALL(getcpu),
    ALLOW_CALL(membarrier),
    ALLOW_CALL(rseq),
    ALLOW_CALL(set_robust_list),
    ALLOW_CALL(getrandom),
    ALLOW_CALL(getpid),
    ALLOW_CALL(getppid),
    ALLOW_CALL(gettid),
    ALLOW_CALL(getuid),
    ALLOW_CALL(geteuid),
    ALLOW_CALL(getgid),
    ALLOW_CALL(getegid),
    ALLOW_CALL(getrlimit),
    ALLOW_CALL(getrusage),
    ALLOW_CALL(sysinfo),
    ALLOW_CALL(rt_sigaction),
    ALLOW_CALL(rt_sigprocmask),
    ALLOW_CALL(rt_sigreturn),
    ALLOW_CALL(restart_syscall),
    ALLOW_CALL(exit),
    ALLOW_CALL(exit_group),
#if TALEA_SANITIZED
    /* It looks for leaks with a thread that traces the others. */
    ALLOW_CALL(clone),
    ALLOW_CALL(getdents),
    ALLOW_CALL(kill),
    ALLOW_CALL(mincore),
    ALLOW_CALL(open),
    ALLOW_CALL(openat),
    ALLOW_CALL(pipe),
    ALLOW_CALL(pipe2),
    ALLOW_CALL(prctl),
    ALLOW_CALL(prlimit64),
    ALLOW_CALL(process_vm_readv),
    ALLOW_CALL(ptrace),
    ALLOW_CALL(readlink),
    ALLOW_CALL(sigaltstack),
    ALLOW_CALL(tgkill),
    ALLOW_CALL(wait4),
#endif
};

/* The C library has older ones for these. */
static const int absent[] = {SCMP_SYS(clone3), SCMP_SYS(close_range), SCMP_SYS(openat2), SCMP_SYS(epoll_pwait2),
                             SCMP_SYS(preadv2), SCMP_SYS(pwritev2)};

#define SKIPPED_CALL (-1)

static _Atomic int32_t *told_at;

/* The call was not made. Nothing here but what a signal handler may do. */
static void on_forbidden(int signal_number, siginfo_t *info, void *context)
{
    (void)signal_number, (void)context;
    atomic_store(told_at, info->si_syscall);
    _exit(EXIT_STATUS_FORBIDDEN_CALL);
}

static int allow(scmp_filter_ctx filter, const struct allowed_calls *list)
{
    int failed = 0;
    for (size_t i = 0; failed == 0 && i < list->count; i++) {
        const struct allowed_call *call = &list->all[i];
        if (call->mask == 0)
            failed = seccomp_rule_add(filter, SCMP_ACT_ALLOW, call->number, 0);
        else
            failed = seccomp_rule_add(filter, SCMP_ACT_ALLOW, call->number, 1,
                                      SCMP_CMP(call->argument, SCMP_CMP_MASKED_EQ, call->mask, call->value));
    }
    return failed;
}

static int build(scmp_filter_ctx filter, const struct allowed_calls *lists, size_t list_count)
{
    const struct allowed_calls common = {everywhere, sizeof everywhere / sizeof *everywhere};
    int failed = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    /* What a tracer that the operator has put there skips: the faults that strace(1) injects. It is no call at all. */
    if (failed == 0)
        failed = seccomp_attr_set(filter, SCMP_FLTATR_API_TSKIP, 1);
    if (failed == 0)
        failed = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SKIPPED_CALL, 0);
    if (failed == 0)
        failed = allow(filter, &common);
    for (size_t i = 0; failed == 0 && i < list_count; i++)
        failed = allow(filter, &lists[i]);
    for (size_t i = 0; failed == 0 && i < sizeof absent / sizeof *absent; i++)
        failed = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), absent[i], 0);
    /* A tree instead of a list: 80 comparisons before each call would be felt. Older kernels and libraries list. */
    (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    return failed;
}

int system_calls_confine(const struct allowed_calls *lists, size_t list_count, _Atomic int32_t *forbidden)
{
    struct sigaction action = {.sa_sigaction = on_forbidden, .sa_flags = SA_SIGINFO};
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_TRAP);
    if (!filter)
        return ENOMEM;
    told_at = forbidden;
    sigaction(SIGSYS, &action, NULL);
    int failed = build(filter, lists, list_count);
    if (failed == 0)
        failed = seccomp_load(filter);
    seccomp_release(filter);
    return -failed;
}

void system_call_name(int32_t number, char out[static SYSTEM_CALL_NAME_MAX])
{
    char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);
    if (name)
        snprintf(out, SYSTEM_CALL_NAME_MAX, "%s", name);
    else
        snprintf(out, SYSTEM_CALL_NAME_MAX, "%d", (int)number);
    free(name);
}
