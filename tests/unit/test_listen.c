/* Listening sockets: where they say they listen, and those that were handed in. */
#include "server/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/scratch_dir.h"

#define FIRST_FD 3 /* where sd_listen_fds(3) begins */
#define HANDED_IN_MAX 2

static char error[512];

/* What talead's own end is to find: blocking, and open over exec. */
static void put_at(int fd, int place)
{
    assert_int_equal(dup2(fd, place), place);
    close(fd);
}

static int listening(int family, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(family, SOCK_STREAM, 0);
    assert_true(fd > FIRST_FD + HANDED_IN_MAX);
    if (path) {
        strcpy(address.sun_path, path);
        assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    }
    assert_int_equal(listen(fd, 1), 0);
    return fd;
}

static void announce(int count, const char *names)
{
    char text[16];
    snprintf(text, sizeof text, "%d", (int)getpid());
    setenv("LISTEN_PID", text, 1);
    snprintf(text, sizeof text, "%d", count);
    setenv("LISTEN_FDS", text, 1);
    if (names)
        setenv("LISTEN_FDNAMES", names, 1);
    else
        unsetenv("LISTEN_FDNAMES");
}

static void assert_environment_is_clean(void)
{
    assert_null(getenv("LISTEN_PID"));
    assert_null(getenv("LISTEN_FDS"));
    assert_null(getenv("LISTEN_FDNAMES"));
}

/* Descriptors 3 and 4 are the test's own: whatever the runner left there is put away. */
static int keep_places(void **state)
{
    (void)state;
    for (int fd = FIRST_FD; fd <= FIRST_FD + HANDED_IN_MAX; fd++)
        if (fcntl(fd, F_GETFD) < 0 && dup2(STDERR_FILENO, fd) != fd)
            return -1;
    return 0;
}

static void nothing_is_taken_when_nothing_is_handed_in(void **state)
{
    struct listen_inherited found;
    (void)state;
    assert_int_equal(listen_inherit(&found, error, sizeof error), 0);
    assert_int_equal(found.api_fd, -1);
    assert_int_equal(found.metrics_fd, -1);
}

static void sockets_are_taken_by_name_and_the_environment_forgets_them(void **state)
{
    struct listen_inherited found;
    (void)state;
    put_at(listening(AF_INET, NULL), FIRST_FD);
    put_at(listening(AF_INET6, NULL), FIRST_FD + 1);
    announce(2, "talead-metrics.socket:talead.socket");
    assert_int_equal(listen_inherit(&found, error, sizeof error), 0);
    assert_int_equal(found.metrics_fd, FIRST_FD);
    assert_int_equal(found.api_fd, FIRST_FD + 1);
    assert_environment_is_clean();
}

static void a_socket_becomes_non_blocking_and_is_closed_on_exec(void **state)
{
    struct listen_inherited found;
    (void)state;
    put_at(listening(AF_INET, NULL), FIRST_FD);
    announce(1, NULL);
    assert_int_equal(fcntl(FIRST_FD, F_GETFD), 0);
    assert_int_equal(fcntl(FIRST_FD, F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(listen_inherit(&found, error, sizeof error), 0);
    assert_int_equal(found.api_fd, FIRST_FD);
    assert_int_equal(fcntl(FIRST_FD, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(FIRST_FD, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
}

static void assert_refused(const char *message)
{
    struct listen_inherited found;
    assert_int_not_equal(listen_inherit(&found, error, sizeof error), 0);
    assert_string_equal(error, message);
    assert_int_equal(found.api_fd, -1);
    assert_int_equal(found.metrics_fd, -1);
    assert_environment_is_clean();
}

static void a_refusal_takes_nothing_and_says_which(void **state)
{
    (void)state;
    put_at(listening(AF_INET, NULL), FIRST_FD);
    put_at(socket(AF_INET, SOCK_STREAM, 0), FIRST_FD + 1);
    announce(2, "talead:talead-metrics");
    assert_refused("inherited socket 4 (talead-metrics): must be a listening stream socket, IPv4, IPv6 or Unix "
                   "(ListenStream= with Accept=no)");
    announce(1, "talead-more");
    assert_refused("inherited socket 3 (talead-more): name it talead or talead-metrics (FileDescriptorName=)");
}

static void a_count_that_is_none_is_refused(void **state)
{
    (void)state;
    announce(1, NULL);
    setenv("LISTEN_FDS", "many", 1);
    assert_refused("cannot take the inherited sockets: Invalid argument (LISTEN_FDS, LISTEN_FDNAMES)");
}

static void assert_address(int fd, const char *expected)
{
    char address[LISTEN_ADDRESS_MAX];
    listen_address(fd, address);
    assert_string_equal(address, expected);
    close(fd);
}

static void the_longest_unix_path_is_shown_whole(void **state)
{
    char path[sizeof ((struct sockaddr_un *)NULL)->sun_path], expected[LISTEN_ADDRESS_MAX];
    (void)state;
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    snprintf(expected, sizeof expected, "unix:%s", path);
    assert_address(listening(AF_UNIX, path), expected);
}

static void an_abstract_name_begins_with_an_at_sign(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "\0talea-test"};
    socklen_t length = offsetof(struct sockaddr_un, sun_path) + 11;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    (void)state;
    assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
    assert_address(fd, "unix:@talea-test");
}

static void a_unix_socket_without_a_name_shows_none(void **state)
{
    (void)state;
    assert_address(socket(AF_UNIX, SOCK_STREAM, 0), "unix:");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_is_taken_when_nothing_is_handed_in, keep_places),
        cmocka_unit_test_setup(sockets_are_taken_by_name_and_the_environment_forgets_them, keep_places),
        cmocka_unit_test_setup(a_socket_becomes_non_blocking_and_is_closed_on_exec, keep_places),
        cmocka_unit_test_setup(a_refusal_takes_nothing_and_says_which, keep_places),
        cmocka_unit_test_setup(a_count_that_is_none_is_refused, keep_places),
        cmocka_unit_test(the_longest_unix_path_is_shown_whole),
        cmocka_unit_test(an_abstract_name_begins_with_an_at_sign),
        cmocka_unit_test(a_unix_socket_without_a_name_shows_none),
    };
    return cmocka_run_group_tests(tests, scratch_dir_enter, scratch_dir_leave);
}
