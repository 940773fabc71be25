/* Wrong tokens of an address: what counts as one address, and when it is over its limit. */
#include "server/auth_limit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

#define MINUTE_NS 60000000000ull
#define NOW_NS (7 * MINUTE_NS + 1)
#define LIMIT 3

static struct border *border;

static int set_up(void **state)
{
    (void)state;
    return border_create(&border);
}

static int tear_down(void **state)
{
    (void)state;
    border_destroy(&border);
    return 0;
}

static struct peer_address of_ipv4(const char *text)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(1234)};
    struct peer_address out;
    assert_int_equal(inet_pton(AF_INET, text, &address.sin_addr), 1);
    peer_address_of((struct sockaddr *)&address, &out);
    return out;
}

static struct peer_address of_ipv6(const char *text)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(1234)};
    struct peer_address out;
    assert_int_equal(inet_pton(AF_INET6, text, &address.sin6_addr), 1);
    peer_address_of((struct sockaddr *)&address, &out);
    return out;
}

static struct peer_address of_unix(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct peer_address out;
    peer_address_of((struct sockaddr *)&address, &out);
    return out;
}

static void assert_same(struct peer_address a, struct peer_address b)
{
    assert_memory_equal(&a, &b, sizeof a);
}

static void assert_shown(struct peer_address address, const char *text)
{
    char shown[PEER_ADDRESS_TEXT_MAX];
    peer_address_format(&address, shown);
    assert_string_equal(shown, text);
}

static void an_ipv6_address_stands_for_its_network_and_a_mapped_one_for_ipv4(void **state)
{
    (void)state;
    assert_same(of_ipv6("2001:db8:1:2::1"), of_ipv6("2001:db8:1:2:ffff::2"));
    assert_same(of_ipv6("::ffff:192.0.2.1"), of_ipv4("192.0.2.1"));
    assert_shown(of_ipv6("2001:db8:1:2::1"), "2001:db8:1:2::/64");
    assert_shown(of_ipv4("192.0.2.1"), "192.0.2.1");
    assert_shown(of_unix(), "a Unix socket");
}

static void reach_limit(const struct peer_address *address, uint64_t now_ns)
{
    for (int i = 1; i < LIMIT; i++)
        assert_int_equal(auth_limit_count(border, address, now_ns, LIMIT), AUTH_FAILURE_COUNTED);
    assert_int_equal(auth_limit_count(border, address, now_ns, LIMIT), AUTH_FAILURE_LAST);
    assert_int_equal(auth_limit_count(border, address, now_ns, LIMIT), AUTH_FAILURE_OVER_LIMIT);
}

static void over_the_limit_an_unknown_token_is_refused_and_a_known_one_is_not(void **state)
{
    struct peer_address address = of_ipv4("192.0.2.1");
    (void)state;
    assert_true(auth_limit_accepts(border, &address, NOW_NS, LIMIT, 5));
    reach_limit(&address, NOW_NS);
    assert_true(auth_limit_accepts(border, &address, NOW_NS, LIMIT, 5));
    assert_false(auth_limit_accepts(border, &address, NOW_NS, LIMIT, 6));
    assert_false(auth_limit_accepts(border, &address, NOW_NS, LIMIT, 6)); /* the first try has taught it nothing */
}

static void the_next_minute_begins_anew(void **state)
{
    struct peer_address address = of_unix();
    (void)state;
    reach_limit(&address, NOW_NS);
    assert_false(auth_limit_accepts(border, &address, 8 * MINUTE_NS - 1, LIMIT, 6));
    reach_limit(&address, 8 * MINUTE_NS);
    assert_true(auth_limit_accepts(border, &address, 9 * MINUTE_NS, LIMIT, 6));
}

static void no_limit_is_no_limit(void **state)
{
    struct peer_address address = of_ipv4("192.0.2.1");
    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(auth_limit_count(border, &address, NOW_NS, 0), AUTH_FAILURE_COUNTED);
    assert_true(auth_limit_accepts(border, &address, NOW_NS, 0, 6));
}

/* A few of them may share a place with the first. */
static void others_are_not_touched(void **state)
{
    struct peer_address address = of_ipv4("192.0.2.1");
    int refused = 0;
    (void)state;
    reach_limit(&address, NOW_NS);
    for (int i = 0; i < 250; i++) {
        char text[32];
        snprintf(text, sizeof text, "198.51.100.%d", i);
        struct peer_address other = of_ipv4(text);
        refused += !auth_limit_accepts(border, &other, NOW_NS, LIMIT, 6);
    }
    assert_in_range(refused, 0, 10);
}

static void the_wait_is_at_least_a_second_and_at_most_a_minute(void **state)
{
    (void)state;
    assert_int_equal(auth_limit_wait_s(7 * MINUTE_NS), 60);
    assert_int_equal(auth_limit_wait_s(8 * MINUTE_NS - 1), 1);
    assert_int_equal(auth_limit_wait_s(7 * MINUTE_NS + 30000000001ull), 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ipv6_address_stands_for_its_network_and_a_mapped_one_for_ipv4),
        cmocka_unit_test_setup_teardown(over_the_limit_an_unknown_token_is_refused_and_a_known_one_is_not, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_next_minute_begins_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_limit_is_no_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(others_are_not_touched, set_up, tear_down),
        cmocka_unit_test(the_wait_is_at_least_a_second_and_at_most_a_minute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
