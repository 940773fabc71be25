#include "arbiter/key_filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct sha256 digest_of(uint64_t n)
{
    struct bytes part = bytes_of(&n, sizeof n);
    return sha256_of(&part, 1);
}

static void every_added_key_is_found_and_few_others(void **state)
{
    (void)state;
    struct key_filter *filter = key_filter_create();
    const uint64_t count = 600000; /* beyond two layers */
    uint64_t wrong = 0;
    for (uint64_t n = 0; n < count; n++) {
        struct sha256 digest = digest_of(n);
        key_filter_add(filter, &digest);
    }
    for (uint64_t n = 0; n < count; n++) {
        struct sha256 digest = digest_of(n);
        assert_true(key_filter_may_contain(filter, &digest));
    }
    for (uint64_t n = count; n < 2 * count; n++) {
        struct sha256 digest = digest_of(n);
        wrong += key_filter_may_contain(filter, &digest);
    }
    print_message("%llu of %llu new keys taken for old ones\n", (unsigned long long)wrong, (unsigned long long)count);
    assert_true(wrong < count / 50);
    key_filter_destroy(&filter);
    assert_null(filter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_added_key_is_found_and_few_others)};
    return cmocka_run_group_tests_name("key_filter", tests, NULL, NULL);
}
