/* Runs of spilled keys on disk: what an opening believes. */
#include "arbiter/key_runs.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "common/data_dir.h"
#include "tests/unit/scratch_dir.h"

#define RUNS 6
#define RUN_KEYS 200
#define PAGE 4096
/* The places in LMDB 0.9's meta pages (mdb.c: MDB_meta behind a page header of 16 bytes); there are two. */
#define META_FREE_ROOT 80
#define META_MAIN_ROOT 128
#define META_TRANSACTION 144

static const struct uuid ledger = {{1, 2, 3}};

static struct hot_key key_of(uint32_t run, uint32_t n)
{
    struct hot_key key = {.seq = run * RUN_KEYS + n, .at_us = 7};
    key.digest.octets[0] = (uint8_t)(n >> 8);
    key.digest.octets[1] = (uint8_t)n;
    key.digest.octets[2] = (uint8_t)run;
    return key;
}

static void write_run(struct key_runs *runs)
{
    struct hot_key keys[RUN_KEYS];
    unsigned log2 = run_filter_log2(RUN_KEYS);
    uint8_t *filter = calloc(1, (size_t)1 << (log2 - 3));
    for (uint32_t n = 0; n < RUN_KEYS; n++) {
        keys[n] = key_of(key_runs_state(runs)->run_count, n);
        run_filter_set(filter, log2, &keys[n].digest);
    }
    struct new_run run = {keys, RUN_KEYS, log2, filter, {.position = 1, .ledger = ledger}};
    assert_int_equal(key_runs_write(runs, &run), 0);
    key_runs_publish(runs, &run);
    free(filter);
}

static void write_runs(const char *dir)
{
    struct key_runs *runs;
    assert_int_equal(key_runs_open(dir, ledger, &runs), 0);
    for (int n = 0; n < RUNS; n++)
        write_run(runs);
    key_runs_close(&runs);
}

static int reopen(const char *dir)
{
    struct key_runs *runs;
    int error = key_runs_open(dir, ledger, &runs);
    key_runs_close(&runs);
    return error;
}

static int open_file(const char *dir, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/" DATA_DIR_IDEMPOTENCY "/%s", dir, name);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    return fd;
}

static uint64_t u64_at(int fd, off_t offset)
{
    uint8_t octets[8];
    assert_int_equal(pread(fd, octets, sizeof octets, offset), sizeof octets);
    return get_u64(octets);
}

static void flip(int fd, off_t offset, uint8_t mask)
{
    uint8_t octet;
    assert_int_equal(pread(fd, &octet, 1, offset), 1);
    octet ^= mask;
    assert_int_equal(pwrite(fd, &octet, 1, offset), 1);
}

static void test_every_key_of_every_run_is_found_after_a_reopening(void **state)
{
    struct key_runs *runs;
    write_runs(*state);
    assert_int_equal(key_runs_open(*state, ledger, &runs), 0);
    assert_int_equal(key_runs_state(runs)->run_count, RUNS);
    for (uint32_t run = 0; run < RUNS; run++)
        for (uint32_t n = 0; n < RUN_KEYS; n++) {
            struct hot_key key = key_of(run, n);
            struct key_value value;
            assert_int_equal(key_runs_find(runs, run, &key.digest, &value), 0);
            assert_int_equal(value.seq, key.seq);
            assert_int_equal(key_runs_find(runs, (run + 1) % RUNS, &key.digest, &value), ENOENT);
        }
    key_runs_close(&runs);
}

/* Else LMDB would hand the page of a proved run to the next commit. */
static void test_a_flipped_page_number_in_the_list_of_free_pages_is_noticed(void **state)
{
    write_runs(*state);
    int fd = open_file(*state, "data.mdb");
    off_t newer = u64_at(fd, META_TRANSACTION) > u64_at(fd, PAGE + META_TRANSACTION) ? 0 : PAGE;
    off_t root = (off_t)u64_at(fd, newer + META_FREE_ROOT);
    off_t last_page_number = (root + 1) * PAGE - 8;
    assert_in_range(u64_at(fd, last_page_number), 2, 10000);
    flip(fd, last_page_number, 8);
    assert_int_equal(reopen(*state), EBADMSG);
    flip(fd, last_page_number, 8);
    assert_int_equal(reopen(*state), 0);
    close(fd);
}

/* Else a commit would write beyond a page that it holds in memory. */
static void test_a_flip_in_the_header_of_a_page_that_a_commit_changes_is_noticed(void **state)
{
    write_runs(*state);
    int fd = open_file(*state, "data.mdb");
    off_t newer = u64_at(fd, META_TRANSACTION) > u64_at(fd, PAGE + META_TRANSACTION) ? 0 : PAGE;
    const off_t pages[] = {newer, (off_t)u64_at(fd, newer + META_FREE_ROOT) * PAGE,
                           (off_t)u64_at(fd, newer + META_MAIN_ROOT) * PAGE};
    for (size_t n = 0; n < sizeof pages / sizeof *pages; n++)
        for (off_t bit = 0; bit < 24 * 8; bit++) {
            flip(fd, pages[n] + bit / 8, (uint8_t)(1 << bit % 8));
            assert_int_equal(reopen(*state), EBADMSG);
            flip(fd, pages[n] + bit / 8, (uint8_t)(1 << bit % 8));
        }
    assert_int_equal(reopen(*state), 0);
    close(fd);
}

static void test_a_flip_anywhere_in_the_mark_is_noticed(void **state)
{
    struct stat st;
    write_runs(*state);
    int fd = open_file(*state, "STATE");
    assert_int_equal(fstat(fd, &st), 0);
    assert_true(st.st_size > 40);
    for (off_t offset = 0; offset < st.st_size; offset++) {
        flip(fd, offset, (uint8_t)(1 << offset % 8));
        assert_int_equal(reopen(*state), EBADMSG);
        flip(fd, offset, (uint8_t)(1 << offset % 8));
    }
    assert_int_equal(reopen(*state), 0);
    close(fd);
}

static void test_keys_without_a_mark_are_damaged(void **state)
{
    write_runs(*state);
    char path[512];
    snprintf(path, sizeof path, "%s/" DATA_DIR_IDEMPOTENCY "/STATE", (char *)*state);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(reopen(*state), EBADMSG);
}

/* Who reads beyond the end of a mapped file dies of SIGBUS. */
static void test_keys_that_lost_their_end_are_damaged(void **state)
{
    struct stat st;
    write_runs(*state);
    int fd = open_file(*state, "data.mdb");
    assert_int_equal(fstat(fd, &st), 0);
    for (off_t kept = 0; kept < st.st_size; kept += PAGE / 2) {
        assert_int_equal(ftruncate(fd, st.st_size - PAGE / 2 - kept), 0);
        assert_int_equal(reopen(*state), EBADMSG);
    }
    close(fd);
}

/* A process died between a commit and its mark; two commits without one are never made. */
static void test_a_mark_may_be_one_commit_behind_and_no_more(void **state)
{
    struct key_runs *runs;
    write_runs(*state);
    assert_int_equal(chdir(*state), 0);
    assert_int_equal(system("cp idempotency/STATE kept"), 0);
    for (int commits = 1; commits <= 2; commits++) {
        assert_int_equal(key_runs_open(*state, ledger, &runs), 0);
        write_run(runs);
        key_runs_close(&runs);
        assert_int_equal(system("cp idempotency/STATE now && cp kept idempotency/STATE"), 0);
        assert_int_equal(reopen(*state), commits == 1 ? 0 : EBADMSG);
        assert_int_equal(system("cp now idempotency/STATE"), 0);
    }
    assert_int_equal(reopen(*state), 0);
    assert_int_equal(chdir("/"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_key_of_every_run_is_found_after_a_reopening, scratch_dir_setup,
                                        scratch_dir_teardown),
        cmocka_unit_test_setup_teardown(
            test_a_flipped_page_number_in_the_list_of_free_pages_is_noticed,
            scratch_dir_setup, scratch_dir_teardown),
        cmocka_unit_test_setup_teardown(test_a_flip_in_the_header_of_a_page_that_a_commit_changes_is_noticed,
                                        scratch_dir_setup, scratch_dir_teardown),
        cmocka_unit_test_setup_teardown(test_a_flip_anywhere_in_the_mark_is_noticed, scratch_dir_setup,
                                        scratch_dir_teardown),
        cmocka_unit_test_setup_teardown(test_keys_without_a_mark_are_damaged, scratch_dir_setup, scratch_dir_teardown),
        cmocka_unit_test_setup_teardown(test_keys_that_lost_their_end_are_damaged, scratch_dir_setup,
                                        scratch_dir_teardown),
        cmocka_unit_test_setup_teardown(test_a_mark_may_be_one_commit_behind_and_no_more, scratch_dir_setup,
                                        scratch_dir_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
