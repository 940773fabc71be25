/* What h2o's loop sees of epoll, while most of its changes never reach the kernel. */
#include "server/http_epoll.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int set_fd;
static int ends[2];
static int one, another; /* what stands for h2o's sockets */

static int set_up(void **state)
{
    (void)state;
    set_fd = epoll_create1(EPOLL_CLOEXEC);
    if (set_fd < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
        return -1;
    http_epoll_new_fd(ends[0]);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close(ends[0]);
    close(ends[1]);
    close(set_fd);
    return 0;
}

static void change(int op, uint32_t events, void *socket)
{
    struct epoll_event event = {.events = events, .data.ptr = socket};
    assert_int_equal(epoll_ctl(set_fd, op, ends[0], &event), 0);
}

static void send_one(void)
{
    assert_int_equal(write(ends[1], "x", 1), 1);
}

/* The socket that has something to tell; NULL: none has. */
static void *look(void)
{
    struct epoll_event events[4];
    int count = epoll_wait(set_fd, events, 4, 0);
    assert_in_range(count, 0, 1);
    return count ? events[0].data.ptr : NULL;
}

static void test_one_that_is_taken_out_and_put_back_costs_no_call_and_is_seen(void **state)
{
    (void)state;
    uint64_t before = http_epoll_spared();
    change(EPOLL_CTL_ADD, EPOLLIN, &one);
    change(EPOLL_CTL_DEL, 0, NULL);
    change(EPOLL_CTL_ADD, EPOLLIN, &one);
    assert_int_equal(http_epoll_spared(), before + 2);
    assert_null(look());
    send_one();
    assert_ptr_equal(look(), &one);
}

static void test_one_that_is_taken_out_is_not_seen_until_it_is_put_back(void **state)
{
    (void)state;
    change(EPOLL_CTL_ADD, EPOLLIN, &one);
    change(EPOLL_CTL_DEL, 0, NULL);
    send_one();
    assert_null(look());
    uint64_t before = http_epoll_spared();
    change(EPOLL_CTL_ADD, EPOLLIN, &one);
    assert_int_equal(http_epoll_spared(), before); /* by then the kernel had let it go */
    assert_ptr_equal(look(), &one);
}

static void test_one_that_left_while_it_was_taken_out_does_not_keep_the_loop_awake(void **state)
{
    (void)state;
    struct epoll_event event;
    change(EPOLL_CTL_ADD, EPOLLIN, &one);
    change(EPOLL_CTL_DEL, 0, NULL);
    shutdown(ends[1], SHUT_RDWR);
    assert_null(look());
    assert_int_equal(epoll_pwait(set_fd, &event, 1, 0, NULL), 0); /* the kernel has nothing more to say of it */
}

static void test_one_that_is_put_back_for_other_events_is_told_of_these(void **state)
{
    (void)state;
    change(EPOLL_CTL_ADD, EPOLLIN, &one);
    change(EPOLL_CTL_DEL, 0, NULL);
    change(EPOLL_CTL_ADD, EPOLLOUT, &one);
    assert_ptr_equal(look(), &one);
    change(EPOLL_CTL_MOD, EPOLLIN, &one);
    assert_null(look());
}

static void test_one_that_is_put_back_as_another_socket_is_seen_as_that(void **state)
{
    (void)state;
    change(EPOLL_CTL_ADD, EPOLLIN, &one);
    change(EPOLL_CTL_DEL, 0, NULL);
    change(EPOLL_CTL_ADD, EPOLLIN, &another);
    send_one();
    assert_ptr_equal(look(), &another);
}

static void test_a_new_descriptor_of_an_old_number_is_registered_anew(void **state)
{
    (void)state;
    int again[2];
    change(EPOLL_CTL_ADD, EPOLLIN, &one);
    change(EPOLL_CTL_DEL, 0, NULL);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, again), 0);
    assert_int_equal(dup2(again[0], ends[0]), ends[0]); /* closes the one before */
    http_epoll_new_fd(ends[0]);
    change(EPOLL_CTL_ADD, EPOLLIN, &one);
    assert_int_equal(write(again[1], "x", 1), 1);
    assert_ptr_equal(look(), &one);
    close(again[0]);
    close(again[1]);
}

static void test_what_the_kernel_refuses_is_refused(void **state)
{
    (void)state;
    struct epoll_event event = {.events = EPOLLIN};
    assert_int_equal(epoll_ctl(set_fd, EPOLL_CTL_DEL, ends[0], &event), -1);
    assert_int_equal(epoll_ctl(set_fd, EPOLL_CTL_MOD, ends[0], &event), -1);
    assert_int_equal(epoll_ctl(set_fd, EPOLL_CTL_ADD, -1, &event), -1);
    change(EPOLL_CTL_ADD, EPOLLIN, &one);
    assert_int_equal(epoll_ctl(set_fd, EPOLL_CTL_ADD, ends[0], &event), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_that_is_taken_out_and_put_back_costs_no_call_and_is_seen, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_one_that_is_taken_out_is_not_seen_until_it_is_put_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_that_left_while_it_was_taken_out_does_not_keep_the_loop_awake, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_one_that_is_put_back_for_other_events_is_told_of_these, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_that_is_put_back_as_another_socket_is_seen_as_that, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_new_descriptor_of_an_old_number_is_registered_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_the_kernel_refuses_is_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
