/* Transaction ids. */
#include "common/uuid7.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int parse(const char *text, struct uuid *out)
{
    return uuid_parse_text(bytes_of_string(text), out);
}

static void assert_parses(const char *text)
{
    struct uuid id;
    assert_int_equal(parse(text, &id), 0);
}

static void assert_refused(const char *text)
{
    struct uuid id;
    assert_int_equal(parse(text, &id), EINVAL);
}

static uint64_t milliseconds_of(struct uuid id)
{
    uint64_t ms = 0;
    for (int i = 0; i < 6; i++)
        ms = ms << 8 | id.octets[i];
    return ms;
}

static void ids_have_version_7_and_the_rfc_variant(void **state)
{
    (void)state;
    for (int i = 0; i < 10000; i++) {
        struct uuid id = uuid7_make(1780574400123456 + i);
        assert_int_equal(id.octets[6] >> 4, 7);
        assert_int_equal(id.octets[8] >> 6, 2);
    }
}

static void ids_begin_with_the_milliseconds(void **state)
{
    (void)state;
    assert_int_equal(milliseconds_of(uuid7_make(1645557742000999)), 1645557742000);
    struct uuid id = uuid7_make(0x017f22e279b0 * INT64_C(1000)); /* RFC 9562, appendix A.6 */
    char text[UUID_TEXT_LEN];
    uuid_format(id, text);
    assert_memory_equal(text, "017f22e2-79b0-7", 15);
    assert_int_equal(milliseconds_of(uuid7_make(999)), 0);
    assert_int_equal(milliseconds_of(uuid7_make(1000)), 1);
}

static void clock_before_the_epoch_counts_as_the_epoch(void **state)
{
    (void)state;
    assert_int_equal(milliseconds_of(uuid7_make(-1)), 0);
    assert_int_equal(milliseconds_of(uuid7_make(INT64_MIN)), 0);
}

static void later_milliseconds_sort_behind(void **state)
{
    (void)state;
    struct uuid earlier = uuid7_make(1780574400123000), later = uuid7_make(1780574400124000);
    assert_true(memcmp(earlier.octets, later.octets, 16) < 0);
}

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct uuid));
}

static void assert_all_differ(struct uuid *ids, size_t count)
{
    qsort(ids, count, sizeof *ids, compare_ids);
    for (size_t i = 1; i < count; i++)
        assert_memory_not_equal(&ids[i - 1], &ids[i], sizeof *ids);
}

static void ids_of_one_millisecond_differ(void **state)
{
    (void)state;
    enum { COUNT = 100000 };
    static struct uuid ids[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        ids[i] = uuid7_make(1780574400123456);
    assert_all_differ(ids, COUNT);
}

static void every_random_bit_takes_both_values(void **state)
{
    (void)state;
    struct uuid ones = {{0}}, zeros = {{0}};
    for (int i = 0; i < 1000; i++) {
        struct uuid id = uuid7_make(0);
        for (int j = 0; j < 16; j++) {
            ones.octets[j] |= id.octets[j];
            zeros.octets[j] |= (uint8_t)~id.octets[j];
        }
    }
    static const uint8_t random_bits[] = {0x0f, 0xff, 0x3f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    for (int j = 0; j < 10; j++)
        assert_int_equal(ones.octets[6 + j] & zeros.octets[6 + j], random_bits[j]);
}

enum { SIBLINGS = 4, IDS_EACH = 50 };

static void make_ids(struct uuid ids[static IDS_EACH])
{
    for (int i = 0; i < IDS_EACH; i++)
        ids[i] = uuid7_make(1780574400123456);
}

enum { IDS_EACH_THREAD = 50000 }; /* enough to run at the same time */

static void *make_ids_in_thread(void *ids)
{
    for (int i = 0; i < IDS_EACH_THREAD; i++)
        ((struct uuid *)ids)[i] = uuid7_make(1780574400123456);
    return NULL;
}

/* With a block drawn before the fork, parent and children would go on with the same bytes of it. */
static void forked_processes_hand_out_different_ids(void **state)
{
    (void)state;
    static struct uuid ids[SIBLINGS + 1][IDS_EACH];
    struct uuid before = uuid7_make(0);
    (void)before;
    for (int i = 0; i < SIBLINGS; i++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        if (child == 0) {
            make_ids(ids[i]);
            _exit(write(ends[1], ids[i], sizeof ids[i]) == sizeof ids[i] ? 0 : 1);
        }
        close(ends[1]);
        assert_int_equal(read(ends[0], ids[i], sizeof ids[i]), sizeof ids[i]);
        close(ends[0]);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    make_ids(ids[SIBLINGS]);
    assert_all_differ(&ids[0][0], (SIBLINGS + 1) * IDS_EACH);
}

static void threads_hand_out_different_ids(void **state)
{
    (void)state;
    static struct uuid ids[SIBLINGS][IDS_EACH_THREAD];
    pthread_t threads[SIBLINGS];
    for (int i = 0; i < SIBLINGS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, make_ids_in_thread, ids[i]), 0);
    for (int i = 0; i < SIBLINGS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_all_differ(&ids[0][0], SIBLINGS * IDS_EACH_THREAD);
}

static void text_is_lower_case_and_hyphenated(void **state)
{
    (void)state;
    struct uuid id = {
        {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10}};
    char text[UUID_TEXT_LEN + 1];
    memset(text, '#', sizeof text);
    uuid_format(id, text);
    assert_memory_equal(text, "01234567-89ab-cdef-fedc-ba9876543210#", sizeof text);
}

static void text_goes_there_and_back(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        struct uuid id, back;
        char text[UUID_TEXT_LEN];
        random_fill(&id, sizeof id);
        uuid_format(id, text);
        assert_int_equal(uuid_parse_text(bytes_of(text, sizeof text), &back), 0);
        assert_memory_equal(&id, &back, sizeof id);
    }
}

static void any_version_and_either_case_parse(void **state)
{
    (void)state;
    struct uuid lower, upper;
    assert_int_equal(parse("017f22e2-79b0-7cc3-98c4-dc0c0c07398f", &lower), 0);
    assert_int_equal(parse("017F22E2-79B0-7cC3-98c4-DC0C0C07398F", &upper), 0);
    assert_memory_equal(&lower, &upper, sizeof lower);
    assert_parses("00000000-0000-0000-0000-000000000000");
    assert_parses("ffffffff-ffff-ffff-ffff-ffffffffffff");
    assert_parses("919108f7-52d1-4320-9bac-f847db4148a8");
}

static void other_spellings_are_refused(void **state)
{
    (void)state;
    assert_refused("");
    assert_refused("x");
    assert_refused("017f22e279b07cc398c4dc0c0c07398f");
    assert_refused("{017f22e2-79b0-7cc3-98c4-dc0c0c07398f}");
    assert_refused("urn:uuid:017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
    assert_refused("017f22e2-79b0-7cc3-98c4-dc0c0c07398");
    assert_refused("017f22e2-79b0-7cc3-98c4-dc0c0c07398f0");
    assert_refused(" 17f22e2-79b0-7cc3-98c4-dc0c0c07398f");
    assert_refused("017f22e2-79b0-7cc3-98c4-dc0c0c07398 ");
    assert_refused("017f22e279b0--7cc3-98c4-dc0c0c07398f");
    assert_refused("-17f22e2-79b0-7cc3-98c4-dc0c0c07398f");
    assert_refused("017f22e2_79b0_7cc3_98c4_dc0c0c07398f");
    assert_int_equal(uuid_parse_text((struct bytes){NULL, 0}, &(struct uuid){{0}}), EINVAL);
}

static void every_byte_that_is_no_hex_digit_is_refused(void **state)
{
    (void)state;
    for (int position = 0; position < UUID_TEXT_LEN; position++) {
        for (int c = 0; c < 256; c++) {
            char text[] = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
            bool hyphen = text[position] == '-';
            bool fits = hyphen ? c == '-' : c != 0 && strchr("0123456789abcdefABCDEF", c) != NULL;
            text[position] = (char)c;
            struct uuid id;
            assert_int_equal(uuid_parse_text(bytes_of(text, UUID_TEXT_LEN), &id), fits ? 0 : EINVAL);
        }
    }
}

static void refused_text_leaves_the_result_alone(void **state)
{
    (void)state;
    struct uuid id = {{42}}, same = id;
    assert_int_equal(parse("017f22e2-79b0-7cc3-98c4-dc0c0c07398g", &id), EINVAL);
    assert_memory_equal(&id, &same, sizeof id);
}

static void random_fill_reaches_every_byte(void **state)
{
    (void)state;
    static uint8_t bytes[100000], seen[sizeof bytes];
    random_fill(bytes, 0);
    assert_int_equal(bytes[0], 0);
    for (int round = 0; round < 8; round++) {
        random_fill(bytes, sizeof bytes);
        for (size_t i = 0; i < sizeof bytes; i++)
            seen[i] |= bytes[i];
    }
    for (size_t i = 0; i < sizeof bytes; i++)
        assert_int_not_equal(seen[i], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_have_version_7_and_the_rfc_variant),
        cmocka_unit_test(ids_begin_with_the_milliseconds),
        cmocka_unit_test(clock_before_the_epoch_counts_as_the_epoch),
        cmocka_unit_test(later_milliseconds_sort_behind),
        cmocka_unit_test(ids_of_one_millisecond_differ),
        cmocka_unit_test(every_random_bit_takes_both_values),
        cmocka_unit_test(forked_processes_hand_out_different_ids),
        cmocka_unit_test(threads_hand_out_different_ids),
        cmocka_unit_test(text_is_lower_case_and_hyphenated),
        cmocka_unit_test(text_goes_there_and_back),
        cmocka_unit_test(any_version_and_either_case_parse),
        cmocka_unit_test(other_spellings_are_refused),
        cmocka_unit_test(every_byte_that_is_no_hex_digit_is_refused),
        cmocka_unit_test(refused_text_leaves_the_result_alone),
        cmocka_unit_test(random_fill_reaches_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
