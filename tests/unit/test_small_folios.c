/* What a page that is changed through a mapping costs where its file was read, or written, before. */
#include "common/small_folios.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/durable_file.h"
#include "tests/unit/page_cost.h"
#include "tests/unit/scratch_dir.h"

#define FILE_BYTES (8u << 20)

static uint8_t content[FILE_BYTES];

static int make_file(const char *dir, char path[static 300])
{
    snprintf(path, 300, "%s/file", dir);
    memset(content, 'x', sizeof content);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    return fd;
}

static void drop_from_cache(int fd)
{
    assert_int_equal(fsync(fd), 0);
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
}

static void a_page_of_a_file_that_was_read_is_dirtied_alone(void **state)
{
    char path[300];
    int fd = make_file(*state, path);
    assert_int_equal(write_fully(fd, content, FILE_BYTES, 0), 0);
    drop_from_cache(fd);
    small_folios_for_reads(fd);
    for (off_t at = 0; at < (off_t)FILE_BYTES; at += 1 << 20)
        assert_int_equal(pread(fd, content, 1 << 20, at), 1 << 20);
    assert_pages_are_dirtied_alone(fd, FILE_BYTES);
    close(fd);
}

static void a_page_of_a_file_that_was_written_is_dirtied_alone(void **state)
{
    char path[300];
    int fd = make_file(*state, path);
    for (off_t at = 0; at < (off_t)FILE_BYTES; at += 256 << 10)
        assert_int_equal(small_folios_write(fd, content + at, 256 << 10, at), 0);
    assert_int_equal(fsync(fd), 0);
    assert_pages_are_dirtied_alone(fd, FILE_BYTES);
    close(fd);
}

static void what_is_written_is_all_of_it(void **state)
{
    char path[300];
    int fd = make_file(*state, path);
    size_t n = 3 * PAGE_BYTES + 17;
    for (size_t i = 0; i < n; i++)
        content[i] = (uint8_t)(i * 31 >> 3);
    assert_int_equal(small_folios_write(fd, content, n, 5), 0);
    uint8_t *found = calloc(1, n + 5);
    assert_int_equal(pread(fd, found, n + 5, 0), n + 5);
    assert_memory_equal(found + 5, content, n);
    free(found);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_page_of_a_file_that_was_read_is_dirtied_alone, scratch_dir_setup,
                                        scratch_dir_teardown),
        cmocka_unit_test_setup_teardown(a_page_of_a_file_that_was_written_is_dirtied_alone, scratch_dir_setup,
                                        scratch_dir_teardown),
        cmocka_unit_test_setup_teardown(what_is_written_is_all_of_it, scratch_dir_setup, scratch_dir_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
