/* What a worker may not do, however it came to try: its filter of system calls, and its fence around the ledger. */
#include "server/worker_calls.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "server/write_fence.h"
#include "tests/unit/confined.h"
#include "tests/unit/scratch_dir.h"

#define LOG_FILE_FLAGS (O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)

static int as_worker(void)
{
    return worker_calls_confine(false, forbidden);
}

static int as_worker_with_log_file(void)
{
    return worker_calls_confine(true, forbidden);
}

static bool try_read(void)
{
    char octet;
    int fd = open("file", O_RDONLY | O_CLOEXEC);
    return fd >= 0 && read(fd, &octet, 1) == 1 && close(fd) == 0;
}

static bool try_open_to_read_and_write(void)
{
    return open("file", O_RDWR | O_CLOEXEC) >= 0;
}

static bool try_truncate(void)
{
    return open("file", O_RDONLY | O_TRUNC) >= 0;
}

static bool try_open_log_file(void)
{
    return open("talead.log", LOG_FILE_FLAGS, 0640) >= 0;
}

static bool try_unlink(void)
{
    return unlink("file") == 0;
}

static bool try_rename(void)
{
    return rename("file", "elsewhere") == 0;
}

static bool try_kill_parent(void)
{
    return kill(getppid(), 0) == 0;
}

static bool try_abort(void)
{
    abort();
}

static const struct {
    bool (*try)(void);
    int call;
    bool sanitizer_needs_it;
} forbidden_calls[] = {
    {try_execve, SYS_execve, false},
    {try_socket, SYS_socket, false},
    {try_mount, SYS_mount, false},
    {try_executable_memory, SYS_mmap, false},
    {try_unlink, SYS_unlink, false},
    {try_rename, SYS_rename, false},
    {try_ptrace, SYS_ptrace, true},
    {try_fork, SYS_clone, true},
    {try_kill_parent, SYS_kill, true},
    {try_open_to_write, SYS_openat, true},
    {try_open_to_read_and_write, SYS_openat, true},
    {try_truncate, SYS_openat, true},
    {try_open_log_file, SYS_openat, true},
};

static void a_call_that_a_worker_has_no_use_for_ends_it_and_is_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof forbidden_calls / sizeof *forbidden_calls; i++)
        if (!TALEA_SANITIZED || !forbidden_calls[i].sanitizer_needs_it)
            assert_forbidden(as_worker, forbidden_calls[i].try, forbidden_calls[i].call);
}

static void a_worker_reads_files(void **state)
{
    (void)state;
    assert_allowed(as_worker, try_read);
}

static void a_worker_opens_the_log_file_again_if_there_is_one(void **state)
{
    (void)state;
    assert_allowed(as_worker_with_log_file, try_open_log_file);
}

static void a_failed_assertion_is_told_as_what_it_is(void **state)
{
    (void)state;
    int status = status_of(as_worker, try_abort);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

/* --- the fence --- */

static bool has_landlock(void)
{
    return syscall(SYS_landlock_create_ruleset, NULL, 0, 1) > 0;
}

static int fenced(void)
{
    const char *why;
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return write_fence_raise("ledger", "logs/talead.log", &why) ? 0 : EINVAL;
}

static bool try_write_segment(void)
{
    return open("ledger/log/segment", O_RDWR | O_CLOEXEC) < 0 && errno == EACCES;
}

static bool try_make_segment(void)
{
    return open("ledger/log/another", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0 && errno == EACCES;
}

static bool try_remove_segment(void)
{
    return unlink("ledger/log/segment") < 0 && errno == EACCES;
}

static bool try_read_segment(void)
{
    return open("ledger/log/segment", O_RDONLY | O_CLOEXEC) >= 0;
}

static bool try_enter_as_reader(void)
{
    return open("ledger/index/lock.mdb", O_RDWR | O_CREAT | O_CLOEXEC, 0600) >= 0;
}

static bool try_log(void)
{
    return open("logs/talead.log", LOG_FILE_FLAGS, 0640) >= 0;
}

static void a_fenced_worker_can_change_nothing_of_the_log(void **state)
{
    (void)state;
    if (!has_landlock())
        skip();
    assert_allowed(fenced, try_write_segment);
    assert_allowed(fenced, try_make_segment);
    assert_allowed(fenced, try_remove_segment);
}

static void a_fenced_worker_reads_and_logs(void **state)
{
    (void)state;
    if (!has_landlock())
        skip();
    assert_allowed(fenced, try_read_segment);
    assert_allowed(fenced, try_enter_as_reader);
    assert_allowed(fenced, try_log);
}

static void no_fence_stands_where_the_log_file_would_open_the_ledger(void **state)
{
    const char *why = NULL;
    (void)state;
    if (!has_landlock())
        skip();
    assert_false(write_fence_raise("ledger", "talead.log", &why));
    assert_false(write_fence_raise("ledger", "ledger/talead.log", &why));
    assert_non_null(strstr(why, "log file"));
}

static int set_up(void **state)
{
    if (scratch_dir_enter(state) != 0 || share_memory(state) != 0)
        return -1;
    scratch_dir_write("file", "octets", 6);
    if (mkdir("ledger", 0700) || mkdir("ledger/log", 0700) || mkdir("ledger/index", 0700) || mkdir("logs", 0700))
        return -1;
    scratch_dir_write("ledger/log/segment", "octets", 6);
    scratch_dir_write("ledger/index/lock.mdb", "octets", 6);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_that_a_worker_has_no_use_for_ends_it_and_is_told),
        cmocka_unit_test(a_worker_reads_files),
        cmocka_unit_test(a_worker_opens_the_log_file_again_if_there_is_one),
        cmocka_unit_test(a_failed_assertion_is_told_as_what_it_is),
        cmocka_unit_test(a_fenced_worker_can_change_nothing_of_the_log),
        cmocka_unit_test(a_fenced_worker_reads_and_logs),
        cmocka_unit_test(no_fence_stands_where_the_log_file_would_open_the_ledger),
    };
    return cmocka_run_group_tests(tests, set_up, scratch_dir_leave);
}
