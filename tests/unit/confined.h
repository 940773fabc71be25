#ifndef TALEA_TESTS_CONFINED_H
#define TALEA_TESTS_CONFINED_H
/* One try in a child that a filter of system calls confines. Include it after cmocka.h. */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/exit_status.h"
#include "common/sanitizer.h"

#define CALL_WORKED 0
#define CALL_FAILED 77

/* Where the child says what it died of. */
static _Atomic int32_t *forbidden;

static inline int share_memory(void **state)
{
    (void)state;
    forbidden = mmap(NULL, sizeof *forbidden, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return forbidden == MAP_FAILED;
}

/* The wait status of a child that called confine, which says 0, and then try, which says whether its call worked. */
static inline int status_of(int (*confine)(void), bool (*try)(void))
{
    int status;
    atomic_store(forbidden, -1);
    pid_t child = fork();
    if (child == 0) {
        if (confine() != 0)
            _exit(EXIT_STATUS_FAILED);
        _exit(try() ? CALL_WORKED : CALL_FAILED);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static inline void assert_forbidden(int (*confine)(void), bool (*try)(void), int call)
{
    int status = status_of(confine, try);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EXIT_STATUS_FORBIDDEN_CALL);
    assert_int_equal(atomic_load(forbidden), call);
}

static inline void assert_allowed(int (*confine)(void), bool (*try)(void))
{
    int status = status_of(confine, try);
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_STATUS_FORBIDDEN_CALL)
        fail_msg("system call %d is forbidden", (int)atomic_load(forbidden));
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), CALL_WORKED);
}

/* --- what is tried --- */

static inline bool try_execve(void)
{
    return execl("/bin/true", "true", (char *)NULL) == 0;
}

static inline bool try_socket(void)
{
    return socket(AF_INET, SOCK_STREAM, 0) >= 0;
}

static inline bool try_ptrace(void)
{
    return ptrace(PTRACE_TRACEME, 0, 0, 0) == 0;
}

static inline bool try_mount(void)
{
    return mount("none", "/nowhere", "tmpfs", 0, NULL) == 0;
}

static inline bool try_executable_memory(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}

static inline bool try_fork(void)
{
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(CALL_WORKED);
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static inline bool try_open_to_write(void)
{
    return open("file", O_WRONLY | O_CLOEXEC) >= 0;
}

#endif
