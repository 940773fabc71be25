/* A batch's way to the disk, by the thread and without it. */
#include "arbiter/disk_writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/unit/scratch_dir.h"

typedef void write_fn(struct disk_writer *writer, int fd, struct bytes bytes, uint64_t offset);
static write_fn *const ways[] = {disk_writer_begin, disk_writer_do};

static int open_file(void **state)
{
    char path[600];
    snprintf(path, sizeof path, "%s/file", (const char *)*state);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    return fd;
}

static void what_ended_well_is_in_the_file(void **state)
{
    struct disk_writer *writer = disk_writer_create();
    int fd = open_file(state);
    for (uint64_t n = 0; n < 200; n++) {
        uint8_t bytes[100], found[100];
        uint64_t sync_ns = 0;
        memset(bytes, (int)n, sizeof bytes);
        ways[n % 2](writer, fd, bytes_of(bytes, sizeof bytes), n * sizeof bytes);
        assert_int_equal(disk_writer_end(writer, &sync_ns), 0);
        assert_true(sync_ns > 0);
        assert_int_equal(pread(fd, found, sizeof found, (off_t)(n * sizeof bytes)), sizeof found);
        assert_memory_equal(found, bytes, sizeof bytes);
    }
    close(fd);
    disk_writer_destroy(&writer);
    assert_null(writer);
}

static void a_failure_is_told_at_the_end(void **state)
{
    struct disk_writer *writer = disk_writer_create();
    char byte = 1;
    uint64_t sync_ns;
    int ends[2]; /* no offset can be written to in a pipe */
    assert_int_equal(pipe(ends), 0);
    for (size_t i = 0; i < 2; i++) {
        ways[i](writer, ends[1], bytes_of(&byte, 1), 0);
        assert_int_equal(disk_writer_end(writer, &sync_ns), ESPIPE);
    }
    close(ends[0]);
    close(ends[1]);
    int fd = open("/dev/null", O_WRONLY); /* takes bytes, and cannot be synced */
    for (size_t i = 0; i < 2; i++) {
        ways[i](writer, fd, bytes_of(&byte, 1), 0);
        assert_int_equal(disk_writer_end(writer, &sync_ns), EINVAL);
    }
    close(fd);
    fd = open_file(state); /* and none of them sticks */
    ways[0](writer, fd, bytes_of(&byte, 1), 0);
    assert_int_equal(disk_writer_end(writer, &sync_ns), 0);
    close(fd);
    disk_writer_destroy(&writer);
}

static void a_short_write_is_a_failure(void **state)
{
    struct disk_writer *writer = disk_writer_create();
    struct rlimit before, limit;
    uint8_t bytes[200] = {0};
    uint64_t sync_ns;
    int fd = open_file(state);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 100;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    int errors[2];
    for (size_t i = 0; i < 2; i++) {
        ways[i](writer, fd, bytes_of(bytes, sizeof bytes), 0);
        errors[i] = disk_writer_end(writer, &sync_ns);
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(errors[0], EIO);
    assert_int_equal(errors[1], EIO);
    close(fd);
    disk_writer_destroy(&writer);
}

static void what_is_under_way_is_waited_for_before_the_writer_goes(void **state)
{
    int fd = open_file(state);
    for (int n = 0; n < 50; n++) {
        struct disk_writer *writer = disk_writer_create();
        char *bytes = malloc(4096), found;
        memset(bytes, n, 4096);
        disk_writer_begin(writer, fd, bytes_of(bytes, 4096), 0);
        disk_writer_destroy(&writer);
        free(bytes);
        assert_int_equal(pread(fd, &found, 1, 4095), 1);
        assert_int_equal(found, n);
    }
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_ended_well_is_in_the_file, scratch_dir_setup, scratch_dir_teardown),
        cmocka_unit_test_setup_teardown(a_failure_is_told_at_the_end, scratch_dir_setup, scratch_dir_teardown),
        cmocka_unit_test_setup_teardown(a_short_write_is_a_failure, scratch_dir_setup, scratch_dir_teardown),
        cmocka_unit_test_setup_teardown(what_is_under_way_is_waited_for_before_the_writer_goes, scratch_dir_setup,
                                        scratch_dir_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
