/* Keys on their way from memory to disk: whatever their digests, each is found afterwards. */
#include "arbiter/idempotency.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/scratch_dir.h"

#define HOT_CAP 400 /* a spill takes 101 keys */
#define KEYS 2000

static const struct uuid ledger = {{1, 2, 3}};

/* alike: keys of few beginnings, as a client finds them who tries enough of them; they come in falling order. */
static struct sha256 digest_of(uint64_t n, bool alike)
{
    struct sha256 digest = {{0}};
    uint64_t mixed = (n + 1) * 0x9e3779b97f4a7c15u, rest = KEYS - n;
    for (int i = 0; i < 4; i++, mixed *= 0xd6e8feb86659fd93u)
        memcpy(digest.octets + 8 * i, &mixed, sizeof mixed);
    if (alike) {
        digest.octets[0] = 7;
        digest.octets[1] = (uint8_t)(n % 3);
        digest.octets[2] = (uint8_t)(rest >> 8);
        digest.octets[3] = (uint8_t)rest;
    }
    return digest;
}

static void check_found(struct idempotency *keys, uint64_t count, bool alike)
{
    for (uint64_t n = 0; n < KEYS; n++) {
        struct sha256 digest = digest_of(n, alike);
        struct key_value value;
        assert_int_equal(idempotency_find(keys, &digest, &value), n < count);
        if (n < count)
            assert_int_equal(value.seq, n);
    }
}

static void every_key_is_found_after_its_spill(void **state)
{
    for (int alike = 0; alike < 2; alike++) {
        struct idempotency *keys;
        struct log_mark mark;
        bool has_mark;
        char dir[600];
        snprintf(dir, sizeof dir, "%s/%d", (char *)*state, alike);
        assert_int_equal(mkdir(dir, 0700), 0);
        assert_int_equal(idempotency_open(dir, ledger, HOT_CAP, &keys, &has_mark, &mark), 0);
        assert_false(has_mark);
        for (uint64_t n = 0; n < KEYS; n++) {
            struct sha256 digest = digest_of(n, alike);
            idempotency_add(keys, &digest, &(struct key_value){.seq = n});
            assert_int_equal(idempotency_settle(keys, &(struct log_mark){.position = n + 1, .ledger = ledger}, n + 1), 0);
            if (n % 500 == 0)
                check_found(keys, n + 1, alike);
        }
        assert_in_range(idempotency_hot_count(keys), 1, KEYS / 2); /* most of them are on disk alone */
        check_found(keys, KEYS, alike);
        idempotency_close(&keys);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_key_is_found_after_its_spill, scratch_dir_setup, scratch_dir_teardown),
    };
    return cmocka_run_group_tests_name("idempotency", tests, NULL, NULL);
}
