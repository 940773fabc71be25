/* What the arbiter may not do, however it came to try. */
#include "arbiter/arbiter_calls.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "tests/unit/confined.h"
#include "tests/unit/scratch_dir.h"

static int as_arbiter(void)
{
    return arbiter_calls_confine(forbidden);
}

static void *nothing(void *context)
{
    return context;
}

static bool try_thread(void)
{
    pthread_t thread;
    return pthread_create(&thread, NULL, nothing, NULL) == 0 && pthread_join(thread, NULL) == 0;
}

static bool try_program_in_a_copy(void)
{
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(try_execve() ? CALL_WORKED : CALL_FAILED);
    return waitpid(child, &status, 0) == child && WIFEXITED(status) &&
           WEXITSTATUS(status) == EXIT_STATUS_FORBIDDEN_CALL;
}

static void a_call_that_the_arbiter_has_no_use_for_ends_it_and_is_told(void **state)
{
    (void)state;
    assert_forbidden(as_arbiter, try_execve, SYS_execve);
    assert_forbidden(as_arbiter, try_socket, SYS_socket);
    assert_forbidden(as_arbiter, try_mount, SYS_mount);
    assert_forbidden(as_arbiter, try_executable_memory, SYS_mmap);
    if (!TALEA_SANITIZED)
        assert_forbidden(as_arbiter, try_ptrace, SYS_ptrace);
}

static void the_arbiter_has_threads_copies_and_files(void **state)
{
    (void)state;
    assert_allowed(as_arbiter, try_thread);
    assert_allowed(as_arbiter, try_fork);
    assert_allowed(as_arbiter, try_open_to_write);
}

static void a_copy_of_the_arbiter_is_confined_as_well(void **state)
{
    (void)state;
    assert_allowed(as_arbiter, try_program_in_a_copy);
}

static int set_up(void **state)
{
    if (scratch_dir_enter(state) != 0 || share_memory(state) != 0)
        return -1;
    scratch_dir_write("file", "octets", 6);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_that_the_arbiter_has_no_use_for_ends_it_and_is_told),
        cmocka_unit_test(the_arbiter_has_threads_copies_and_files),
        cmocka_unit_test(a_copy_of_the_arbiter_is_confined_as_well),
    };
    return cmocka_run_group_tests(tests, set_up, scratch_dir_leave);
}
