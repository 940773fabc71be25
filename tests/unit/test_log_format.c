/* The log's bytes: what is written reads back, and no damage passes. */
#include "common/log_format.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct uuid LEDGER = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

static struct segment_header example_segment(void)
{
    return (struct segment_header){
        .version = LOG_FORMAT_VERSION,
        .ledger = LEDGER,
        .position = 0x1122334455667788,
        .next_batch = 42,
        .chain = chain_genesis(LEDGER),
        .created_at_us = 1700000000000001,
    };
}

static void a_segment_header_reads_back(void **state)
{
    (void)state;
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    struct segment_header header = example_segment(), back;
    segment_header_encode(&header, bytes);
    assert_memory_equal(bytes, "TALEALOG\1\0\0\0\x80\0\0\0", 16);
    assert_memory_equal(bytes + 32, "\x88\x77\x66\x55\x44\x33\x22\x11", 8);
    assert_int_equal(segment_header_decode(bytes, &back), 0);
    assert_int_equal(back.version, LOG_FORMAT_VERSION);
    assert_memory_equal(&back.ledger, &LEDGER, sizeof LEDGER);
    assert_int_equal(back.position, header.position);
    assert_int_equal(back.next_batch, 42);
    assert_memory_equal(&back.chain, &header.chain, sizeof back.chain);
    assert_int_equal(back.created_at_us, header.created_at_us);
}

static void a_segment_header_with_any_bit_turned_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    struct segment_header header = example_segment(), back;
    segment_header_encode(&header, bytes);
    for (unsigned bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(segment_header_decode(bytes, &back), 0);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void a_newer_format_is_told_from_damage(void **state)
{
    (void)state;
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    struct segment_header header = example_segment(), back;
    header.version = LOG_FORMAT_VERSION + 1;
    segment_header_encode(&header, bytes);
    assert_int_equal(segment_header_decode(bytes, &back), ENOTSUP);
    assert_int_equal(back.version, LOG_FORMAT_VERSION + 1);
}

struct batch {
    uint8_t bytes[BATCH_HEADER_BYTES + 64 + SHA256_SIZE];
    struct batch_header header;
};

static struct batch example_batch(void)
{
    struct batch b = {.header = {.payload_length = 64, .event_count = 3, .position = 4096, .number = 7, .at_us = 99}};
    for (unsigned i = 0; i < 64; i++)
        b.bytes[BATCH_HEADER_BYTES + i] = (uint8_t)(i * 5);
    batch_header_encode(&b.header, b.bytes + BATCH_HEADER_BYTES, b.bytes);
    return b;
}

static void a_batch_reads_back(void **state)
{
    (void)state;
    struct batch b = example_batch();
    struct batch_header back;
    assert_memory_equal(b.bytes, "TLBT", 4);
    assert_int_equal(batch_verify(b.bytes, sizeof b.bytes, 4096, &back), 0);
    assert_int_equal(back.payload_length, 64);
    assert_int_equal(back.event_count, 3);
    assert_int_equal(back.flags, BATCH_EVENTS);
    assert_int_equal(back.number, 7);
    assert_int_equal(back.at_us, 99);
    assert_int_equal(back.crc, b.header.crc);
}

static void a_batch_with_any_bit_turned_is_refused(void **state)
{
    (void)state;
    struct batch b = example_batch();
    struct batch_header back;
    for (unsigned bit = 0; bit < 8 * (BATCH_HEADER_BYTES + 64); bit++) {
        b.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(batch_verify(b.bytes, sizeof b.bytes, 4096, &back), EBADMSG);
        b.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(batch_verify(b.bytes, sizeof b.bytes, 4096, &back), 0);
}

static void a_batch_is_refused_wherever_it_is_cut(void **state)
{
    (void)state;
    struct batch b = example_batch();
    struct batch_header back;
    for (size_t available = 0; available < sizeof b.bytes; available++) {
        uint8_t *cut = malloc(available ? available : 1); /* so that a look behind its end is seen */
        memcpy(cut, b.bytes, available);
        assert_int_equal(batch_verify(cut, available, 4096, &back), EBADMSG);
        free(cut);
    }
}

static void a_batch_from_elsewhere_in_the_log_is_refused(void **state)
{
    (void)state;
    struct batch b = example_batch();
    struct batch_header back;
    assert_int_equal(batch_verify(b.bytes, sizeof b.bytes, 4104, &back), EBADMSG);
}

static void a_length_beyond_the_bound_is_refused_before_it_is_used(void **state)
{
    (void)state;
    struct batch b = example_batch();
    struct batch_header back;
    uint32_t length = BATCH_PAYLOAD_MAX + 1;
    memcpy(b.bytes + 4, &length, sizeof length);
    assert_int_equal(batch_header_decode(b.bytes, &back), EBADMSG);
}

static void the_chain_depends_on_everything_before(void **state)
{
    (void)state;
    struct batch b = example_batch();
    struct bytes payload = bytes_of(b.bytes + BATCH_HEADER_BYTES, 64);
    struct sha256 genesis = chain_genesis(LEDGER), one = batch_chain(&genesis, b.bytes, payload);
    struct sha256 two = batch_chain(&one, b.bytes, payload);
    assert_memory_not_equal(&one, &two, sizeof one);
    b.bytes[BATCH_HEADER_BYTES] ^= 1;
    struct sha256 other = batch_chain(&genesis, b.bytes, payload);
    assert_memory_not_equal(&one, &other, sizeof one);
}

static void batches_end_at_multiples_of_eight(void **state)
{
    (void)state;
    assert_int_equal(batch_disk_length(0), 80);
    assert_int_equal(batch_disk_length(1), 88);
    assert_int_equal(batch_disk_length(8), 88);
    assert_int_equal(batch_disk_length(BATCH_PAYLOAD_MAX), 80 + (uint64_t)BATCH_PAYLOAD_MAX);
}

static void segment_names_hold_their_position(void **state)
{
    (void)state;
    static const char *const none[] = {
        "", "segment-.log", "segment-1.log", "segment-0000000000000000001.log", "segment-000000000000000000001.log",
        "segment-00000000000000000001.lo", "segment-00000000000000000001.log~", "segment-0000000000000000000x.log",
        "segment-99999999999999999999.log", "segment-+0000000000000000001.log", "Segment-00000000000000000001.log",
    };
    char name[SEGMENT_NAME_MAX];
    uint64_t position;
    segment_name(128, name);
    assert_string_equal(name, "segment-00000000000000000128.log");
    segment_name(UINT64_MAX, name);
    assert_int_equal(segment_name_parse(name, &position), 0);
    assert_true(position == UINT64_MAX);
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_int_equal(segment_name_parse(none[i], &position), EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_segment_header_reads_back),
        cmocka_unit_test(a_segment_header_with_any_bit_turned_is_refused),
        cmocka_unit_test(a_newer_format_is_told_from_damage),
        cmocka_unit_test(a_batch_reads_back),
        cmocka_unit_test(a_batch_with_any_bit_turned_is_refused),
        cmocka_unit_test(a_batch_is_refused_wherever_it_is_cut),
        cmocka_unit_test(a_batch_from_elsewhere_in_the_log_is_refused),
        cmocka_unit_test(a_length_beyond_the_bound_is_refused_before_it_is_used),
        cmocka_unit_test(the_chain_depends_on_everything_before),
        cmocka_unit_test(batches_end_at_multiples_of_eight),
        cmocka_unit_test(segment_names_hold_their_position),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
