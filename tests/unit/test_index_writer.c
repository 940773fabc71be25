/* The index's file beside the log's: what its pages cost the disk. */
#include "arbiter/index_writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>

#include "tests/unit/page_cost.h"
#include "tests/unit/scratch_dir.h"

#define ROW_BYTES 1900 /* two of them on a page */
#define GROUPS 32
#define ROWS_A_GROUP 256

static void put_group(struct index_writer *w, uint64_t first_seq)
{
    static uint8_t row[ROW_BYTES];
    assert_int_equal(index_writer_begin(w, ROWS_A_GROUP, ROWS_A_GROUP * ROW_BYTES), 0);
    for (uint64_t seq = first_seq; seq < first_seq + ROWS_A_GROUP; seq++) {
        uint8_t key[12];
        size_t key_len = event_table_key(1, seq, key);
        assert_int_equal(index_writer_put(w, TABLE_EVENTS, key, key_len, row, sizeof row), 0);
    }
    assert_int_equal(index_writer_commit(w), 0);
}

static void a_page_of_an_index_that_has_grown_is_dirtied_alone(void **state)
{
    char path[300];
    struct index_writer *w;
    snprintf(path, sizeof path, "%s/index", (char *)*state);
    assert_int_equal(index_writer_open(path, &w), 0);
    for (uint64_t group = 0; group < GROUPS; group++)
        put_group(w, 1 + group * ROWS_A_GROUP);
    size_t used = index_writer_used_bytes(w);
    assert_true(used > GROUPS * ROWS_A_GROUP * ROW_BYTES);
    assert_int_equal(index_writer_sync(w), 0);
    index_writer_close(&w);
    snprintf(path, sizeof path, "%s/index/data.mdb", (char *)*state);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_pages_are_dirtied_alone(fd, used);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_page_of_an_index_that_has_grown_is_dirtied_alone, scratch_dir_setup,
                                        scratch_dir_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
