/* The table of talea-log(5), RECOVERY, row by row, on logs that the writer made and the test then damages. */
#include "arbiter/log_recovery.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "arbiter/directory.h"
#include "common/data_dir.h"
#include "common/log_reader.h"
#include "tests/unit/scratch_dir.h"

#define BATCH_PAYLOAD 100

struct seen {
    uint64_t positions[4096];
    uint64_t count;
    uint64_t events;
};

static int see(void *context, const struct batch_header *header, struct bytes payload, const struct log_mark *after)
{
    struct seen *seen = context;
    (void)after;
    if (header->event_count) {
        seen->positions[seen->count++] = header->position;
        seen->events += header->event_count;
        assert_int_equal(payload.len, BATCH_PAYLOAD);
    }
    return 0;
}

static struct log_writer *open_new(const char *dir, uint64_t segment_max)
{
    struct log_head head;
    struct log_writer *writer;
    assert_int_equal(directory_prepare(dir), 0);
    assert_int_equal(log_create(dir, &head), 0);
    assert_int_equal(log_writer_open(dir, &head, head.position, 0, segment_max, &writer), 0);
    return writer;
}

static uint64_t append(struct log_writer *writer, int n)
{
    uint8_t payload[BATCH_PAYLOAD];
    uint64_t sync_ns;
    memset(payload, n, sizeof payload);
    assert_int_equal(log_writer_reserve(writer, sizeof payload), 0);
    uint64_t position = log_writer_head(writer)->position;
    log_writer_begin(writer, bytes_of(payload, sizeof payload), 1, 1000 + n, n % 2 == 0);
    assert_int_equal(log_writer_end(writer, &sync_ns), 0);
    return position;
}

static int recover_from(const char *dir, const struct log_mark *from, uint64_t witness, struct seen *seen,
                        struct recovered_log *log)
{
    *seen = (struct seen){0};
    struct log_recovery_plan plan = {
        .from = from,
        .witness = witness,
        .witness_name = "index",
        .visit = see,
        .context = seen,
    };
    return log_recover(dir, &plan, log);
}

static int recover(const char *dir, struct seen *seen, struct recovered_log *log)
{
    return recover_from(dir, NULL, 0, seen, log);
}

static int open_segment_file(const char *dir, uint64_t segment)
{
    char name[SEGMENT_NAME_MAX], path[1024];
    segment_name(segment, name);
    snprintf(path, sizeof path, "%s/log/%s", dir, name);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    return fd;
}

static void flip(const char *dir, uint64_t segment, uint64_t offset)
{
    uint8_t byte;
    int fd = open_segment_file(dir, segment);
    assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
    byte ^= 0x40;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
    close(fd);
}

static void batches_are_found_again_from_genesis(void **state)
{
    struct seen seen;
    struct recovered_log log;
    struct log_writer *writer = open_new(*state, 1 << 20);
    uint64_t positions[20];
    for (int i = 0; i < 20; i++)
        positions[i] = append(writer, i);
    struct log_head head = *log_writer_head(writer);
    log_writer_close(&writer);
    assert_int_equal(recover(*state, &seen, &log), 0);
    assert_int_equal(seen.count, 20);
    assert_memory_equal(seen.positions, positions, sizeof positions);
    assert_memory_equal(&log.head, &head, sizeof head);
    assert_false(log.segment_sealed);
}

static void full_segments_are_sealed_and_followed(void **state)
{
    struct seen seen;
    struct recovered_log log;
    struct segment_list list;
    struct log_writer *writer = open_new(*state, 4096);
    for (int i = 0; i < 200; i++)
        append(writer, i);
    struct log_head head = *log_writer_head(writer);
    log_writer_close(&writer);
    assert_int_equal(segment_list_read(*state, &list), 0);
    assert_true(list.count >= 5);
    for (size_t i = 0; i + 1 < list.count; i++) {
        struct stat st;
        int fd = open_segment_file(*state, list.positions[i]);
        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(list.positions[i] + (uint64_t)st.st_size, list.positions[i + 1]);
        close(fd);
    }
    segment_list_free(&list);
    assert_int_equal(recover(*state, &seen, &log), 0);
    assert_int_equal(seen.count, 200);
    assert_memory_equal(&log.head, &head, sizeof head);
}

static void writing_goes_on_where_recovery_ended(void **state)
{
    struct seen seen;
    struct recovered_log log;
    struct log_writer *writer = open_new(*state, 4096);
    for (int i = 0; i < 300; i++) {
        append(writer, i);
        if (i % 7 == 0) {
            if (i % 2)
                assert_int_equal(log_writer_seal(writer, 5), 0);
            log_writer_close(&writer);
            assert_int_equal(recover(*state, &seen, &log), 0);
            assert_int_equal(log_writer_open(*state, &log.head, log.last_batch, log.segment_sealed, 4096, &writer), 0);
        }
    }
    log_writer_close(&writer);
    assert_int_equal(recover(*state, &seen, &log), 0);
    assert_int_equal(seen.count, 300);
}

static void recovery_from_a_mark_visits_only_what_follows(void **state)
{
    struct seen seen;
    struct recovered_log log;
    struct log_writer *writer = open_new(*state, 4096);
    struct log_mark mark = {0};
    for (int i = 0; i < 100; i++) {
        if (i == 60) {
            const struct log_head *head = log_writer_head(writer);
            mark = (struct log_mark){head->position, head->next_batch, head->chain, head->ledger};
        }
        append(writer, i);
    }
    log_writer_close(&writer);
    assert_int_equal(recover_from(*state, &mark, mark.position, &seen, &log), 0);
    assert_int_equal(seen.count, 40);
    mark.chain.octets[0] ^= 1;
    assert_int_equal(recover_from(*state, &mark, mark.position, &seen, &log), EUCLEAN);
}

/* Every length of a torn last batch: what was whole before it stays, the rest is cut, and writing goes on. */
static void torn_tail_is_cut_at_every_length(void **state)
{
    struct seen seen;
    struct recovered_log log;
    struct log_writer *writer = open_new(*state, 1 << 20);
    for (int i = 0; i < 3; i++)
        append(writer, i);
    uint64_t torn = append(writer, 3);
    uint64_t end = log_writer_head(writer)->position;
    log_writer_close(&writer);
    uint8_t whole[512];
    int fd = open_segment_file(*state, 0);
    assert_int_equal(pread(fd, whole, end - torn, (off_t)torn), end - torn);
    uint64_t padding = batch_disk_length(BATCH_PAYLOAD) - BATCH_HEADER_BYTES - BATCH_PAYLOAD - SHA256_SIZE;
    for (uint64_t kept = 0; kept < end - torn; kept++) {
        uint8_t zeros[512] = {0};
        assert_int_equal(ftruncate(fd, (off_t)torn), 0);
        assert_int_equal(pwrite(fd, zeros, sizeof zeros, (off_t)torn), sizeof zeros);
        assert_int_equal(pwrite(fd, whole, kept, (off_t)torn), kept);
        int error = recover(*state, &seen, &log);
        if (kept >= end - torn - padding) { /* only padding was lost */
            assert_int_equal(error, 0);
            assert_int_equal(seen.count, 4);
        } else {
            assert_int_equal(error, 0);
            assert_int_equal(seen.count, 3);
            assert_int_equal(log.head.position, torn);
        }
    }
    close(fd);
}

static void missing_bytes_below_a_witness_are_refused(void **state)
{
    struct seen seen;
    struct recovered_log log;
    struct log_writer *writer = open_new(*state, 1 << 20);
    append(writer, 0);
    uint64_t second = append(writer, 1);
    uint64_t end = log_writer_head(writer)->position;
    log_writer_close(&writer);
    int fd = open_segment_file(*state, 0);
    assert_int_equal(ftruncate(fd, (off_t)second + 20), 0);
    close(fd);
    assert_int_equal(recover_from(*state, NULL, end, &seen, &log), EUCLEAN);
    assert_int_equal(recover_from(*state, NULL, second, &seen, &log), 0);
    assert_int_equal(seen.count, 1);
}

static void any_flipped_byte_before_a_later_batch_is_refused(void **state)
{
    struct seen seen;
    struct recovered_log log;
    struct log_writer *writer = open_new(*state, 1 << 20);
    for (int i = 0; i < 3; i++)
        append(writer, i);
    uint64_t last = append(writer, 3);
    log_writer_close(&writer);
    uint64_t padding = batch_disk_length(BATCH_PAYLOAD) - BATCH_HEADER_BYTES - BATCH_PAYLOAD - SHA256_SIZE;
    for (uint64_t offset = 0; offset < last; offset++) {
        uint64_t in_batch = offset < SEGMENT_HEADER_BYTES
                                ? 0
                                : (offset - SEGMENT_HEADER_BYTES) % batch_disk_length(BATCH_PAYLOAD);
        if (in_batch >= batch_disk_length(BATCH_PAYLOAD) - padding)
            continue;
        flip(*state, 0, offset);
        assert_int_equal(recover(*state, &seen, &log), EUCLEAN);
        flip(*state, 0, offset);
    }
    assert_int_equal(recover(*state, &seen, &log), 0);
}

static void flipped_bytes_in_a_sealed_segment_are_refused(void **state)
{
    struct seen seen;
    struct recovered_log log;
    struct segment_list list;
    struct log_writer *writer = open_new(*state, 4096);
    for (int i = 0; i < 100; i++)
        append(writer, i);
    log_writer_close(&writer);
    assert_int_equal(segment_list_read(*state, &list), 0);
    for (size_t i = 0; i + 1 < list.count; i++) {
        flip(*state, list.positions[i], SEGMENT_HEADER_BYTES + 60);
        assert_int_equal(recover(*state, &seen, &log), EUCLEAN);
        flip(*state, list.positions[i], SEGMENT_HEADER_BYTES + 60);
        flip(*state, list.positions[i], 90);
        assert_int_equal(recover(*state, &seen, &log), EUCLEAN);
        flip(*state, list.positions[i], 90);
    }
    segment_list_free(&list);
    assert_int_equal(recover(*state, &seen, &log), 0);
}

static void a_missing_segment_is_refused(void **state)
{
    struct seen seen;
    struct recovered_log log;
    struct segment_list list;
    struct log_writer *writer = open_new(*state, 4096);
    for (int i = 0; i < 100; i++)
        append(writer, i);
    log_writer_close(&writer);
    assert_int_equal(segment_list_read(*state, &list), 0);
    for (size_t i = 0; i + 1 < list.count; i++) {
        char name[SEGMENT_NAME_MAX], path[1024], aside[1024];
        segment_name(list.positions[i], name);
        snprintf(path, sizeof path, "%s/log/%s", (char *)*state, name);
        snprintf(aside, sizeof aside, "%s/aside", (char *)*state);
        assert_int_equal(rename(path, aside), 0);
        assert_int_equal(recover(*state, &seen, &log), EUCLEAN);
        assert_int_equal(rename(aside, path), 0);
    }
    segment_list_free(&list);
}

static void a_seal_without_successor_begins_the_next_segment(void **state)
{
    struct seen seen;
    struct recovered_log log;
    struct segment_list list;
    struct log_writer *writer = open_new(*state, 4096);
    for (int i = 0; i < 40; i++)
        append(writer, i);
    log_writer_close(&writer);
    assert_int_equal(segment_list_read(*state, &list), 0);
    assert_true(list.count >= 2);
    char name[SEGMENT_NAME_MAX], path[1024];
    segment_name(list.positions[list.count - 1], name);
    snprintf(path, sizeof path, "%s/log/%s", (char *)*state, name);
    uint64_t segment = list.positions[list.count - 1];
    segment_list_free(&list);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(recover(*state, &seen, &log), 0);
    assert_true(log.segment_sealed);
    assert_int_equal(log.head.position, segment);
    assert_int_equal(recover_from(*state, NULL, segment + 500, &seen, &log), EUCLEAN);
    assert_int_equal(recover(*state, &seen, &log), 0);
    assert_int_equal(log_writer_open(*state, &log.head, log.last_batch, log.segment_sealed, 4096, &writer), 0);
    uint64_t before = seen.count;
    append(writer, 9);
    log_writer_close(&writer);
    assert_int_equal(recover(*state, &seen, &log), 0);
    assert_int_equal(seen.count, before + 1);
}

static void a_newer_format_version_is_named(void **state)
{
    struct seen seen;
    struct recovered_log log;
    struct log_writer *writer = open_new(*state, 1 << 20);
    append(writer, 0);
    log_writer_close(&writer);
    flip(*state, 0, 8 + 1); /* the version's second byte */
    assert_int_equal(recover(*state, &seen, &log), EUCLEAN);
}

int main(void)
{
#define SCRATCH_TEST(f) cmocka_unit_test_setup_teardown(f, scratch_dir_setup, scratch_dir_teardown)
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(batches_are_found_again_from_genesis),
        SCRATCH_TEST(full_segments_are_sealed_and_followed),
        SCRATCH_TEST(writing_goes_on_where_recovery_ended),
        SCRATCH_TEST(recovery_from_a_mark_visits_only_what_follows),
        SCRATCH_TEST(torn_tail_is_cut_at_every_length),
        SCRATCH_TEST(missing_bytes_below_a_witness_are_refused),
        SCRATCH_TEST(any_flipped_byte_before_a_later_batch_is_refused),
        SCRATCH_TEST(flipped_bytes_in_a_sealed_segment_are_refused),
        SCRATCH_TEST(a_missing_segment_is_refused),
        SCRATCH_TEST(a_seal_without_successor_begins_the_next_segment),
        SCRATCH_TEST(a_newer_format_version_is_named),
    };
    return cmocka_run_group_tests_name("log_recovery", tests, NULL, NULL);
}
