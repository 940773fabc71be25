#include "arbiter/hot_keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static struct hot_key key_of(uint64_t n, int crowded)
{
    struct hot_key key = {.seq = n};
    memcpy(key.digest.octets, &n, sizeof n);
    /* The table's place comes from the last octets: few different ones make long runs. */
    uint64_t place = crowded ? n % 3 : n * 0x9e3779b97f4a7c15u;
    memcpy(key.digest.octets + 24, &place, sizeof place);
    key.digest.octets[23] = (uint8_t)(n % 5); /* of what tells keys of one place apart; crowded ones agree in it too */
    return key;
}

static void check_present(const struct hot_keys *keys, uint64_t from, uint64_t to, uint64_t all, int crowded)
{
    for (uint64_t n = 0; n < all; n++) {
        struct hot_key want = key_of(n, crowded);
        const struct hot_key *found = hot_keys_find(keys, &want.digest);
        if (n >= from && n < to) {
            assert_non_null(found);
            assert_int_equal(found->seq, n);
        } else {
            assert_null(found);
        }
    }
}

static void keys_are_found_until_they_are_dropped(void **state)
{
    (void)state;
    for (int crowded = 0; crowded < 2; crowded++) {
        struct hot_keys *keys = hot_keys_create(0);
        uint64_t all = crowded ? 300 : 5000, dropped = 0;
        for (uint64_t n = 0; n < all; n++) {
            struct hot_key key = key_of(n, crowded);
            hot_keys_add(keys, &key);
            if (n % 3 == 2) {
                hot_keys_drop_oldest(keys);
                dropped++;
            }
            if (n % 50 == 0)
                check_present(keys, dropped, n + 1, n + 1, crowded);
        }
        check_present(keys, dropped, all, all, crowded);
        while (hot_keys_first(keys) < hot_keys_end(keys))
            hot_keys_drop_oldest(keys);
        check_present(keys, 0, 0, all, crowded);
        hot_keys_destroy(&keys);
        assert_null(keys);
    }
}

static void entries_keep_their_order_and_numbers(void **state)
{
    (void)state;
    struct hot_keys *keys = hot_keys_create(0);
    for (uint64_t n = 0; n < 3000; n++) {
        struct hot_key key = key_of(n, 0);
        hot_keys_add(keys, &key);
        if (n >= 100)
            hot_keys_drop_oldest(keys);
    }
    assert_int_equal(hot_keys_first(keys), 2900);
    assert_int_equal(hot_keys_end(keys), 3000);
    for (uint64_t n = 2900; n < 3000; n++)
        assert_int_equal(hot_keys_at(keys, n)->seq, n);
    hot_keys_destroy(&keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_found_until_they_are_dropped),
        cmocka_unit_test(entries_keep_their_order_and_numbers),
    };
    return cmocka_run_group_tests_name("hot_keys", tests, NULL, NULL);
}
