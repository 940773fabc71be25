/* What a reader finds in an index that grows beside it, and in another one that took its place. */
#include "common/index_reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "arbiter/index_writer.h"
#include "common/data_dir.h"
#include "tests/unit/scratch_dir.h"

#define EVENTS_MAX 10000
#define BOOK BYTES_LITERAL("shop")
#define PATH BYTES_LITERAL("cash")

/* Shared with the writers: each write is another process's, since LMDB opens an environment once in one. */
struct fixture {
    char index_path[256];
    struct index_writer *index; /* of the writing process */
    struct index_reader *reader;
    uint32_t generation, book_no;
    uint64_t last_seq;
    int64_t at_us[EVENTS_MAX + 1]; /* by seq */
    struct {
        struct account_row row;
        uint64_t tail[POSTING_TAIL_MAX];
    } account; /* every third event is a posting there */
};

static struct fixture *begin(const char *dir)
{
    struct fixture *f = mmap(NULL, sizeof *f, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(f, MAP_FAILED);
    f->generation = f->book_no = 1;
    snprintf(f->index_path, sizeof f->index_path, "%s/%s", dir, DATA_DIR_INDEX);
    assert_int_equal(index_reader_open(dir, &f->reader), 0);
    return f;
}

static void end(struct fixture *f)
{
    index_reader_close(&f->reader);
    assert_int_equal(munmap(f, sizeof *f), 0);
}

/* In the writing process, where cmocka's checks say nothing to the test. */
static void must(int error)
{
    if (error)
        _exit(1);
}

struct change {
    uint32_t number;
    const char *id;
};

/* One transaction of a writer that comes and goes. */
static void write_index(struct fixture *f, void (*put_all)(struct fixture *f, struct change change),
                        struct change change)
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        must(index_writer_open(f->index_path, &f->index));
        must(index_writer_begin(f->index, 20000, 4000000));
        put_all(f, change);
        must(index_writer_commit(f->index));
        index_writer_close(&f->index);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void put(struct fixture *f, enum index_table table, const void *key, size_t key_len, const void *row, size_t len)
{
    must(index_writer_put(f->index, table, key, key_len, row, len));
}

/* What a transaction that posted to the account has behind its row. */
static void post(struct fixture *f, uint64_t seq, struct buffer *value)
{
    uint8_t key[16];
    struct account_row *row = &f->account.row;
    struct posted_account posted = {.debits = 10 * seq, .account_no = 7};
    posted_append(value, (struct uuid){{0}}, &posted, 1, NULL, 0);
    if (row->tail_count == POSTING_TAIL_MAX) {
        put(f, TABLE_POSTINGS, key, posting_table_key(7, f->account.tail[0], key), f->account.tail,
            sizeof f->account.tail);
        row->blocked_seq = row->updated_seq;
        row->tail_count = 0;
    }
    f->account.tail[row->tail_count++] = seq;
    row->account_no = 7;
    row->debits = 10 * seq;
    row->updated_seq = seq;
}

static void put_event(struct fixture *f, int64_t at_us)
{
    uint8_t key[16];
    uint64_t seq = ++f->last_seq;
    struct event_row event = {.at_us = f->at_us[seq] = at_us};
    struct buffer value = {0};
    buffer_append(&value, &event, sizeof event);
    if (seq % 3 == 0)
        post(f, seq, &value);
    put(f, TABLE_EVENTS, key, event_table_key(f->book_no, seq, key), value.base, value.len);
    buffer_free(&value);
}

/* That many more events: some in groups of one time, some after a long silence. */
static void put_events(struct fixture *f, struct change change)
{
    uint8_t key[NAME_KEY_MAX], account_key[4 + NAME_KEY_MAX];
    for (unsigned i = 0; i < change.number; i++) {
        uint64_t n = f->last_seq;
        int64_t step = n % 40 ? 0 : n % 1000 ? 2 + (int64_t)(n % 7) : 1000000;
        put_event(f, f->at_us[n] + step);
    }
    struct book_row book = {.book_no = f->book_no, .last_seq = f->last_seq, .last_at_us = f->at_us[f->last_seq]};
    put(f, TABLE_BOOKS, key, name_key(BOOK, key), &book, sizeof book);
    put(f, TABLE_ACCOUNTS, account_key, account_table_key(f->book_no, PATH, account_key), &f->account,
        sizeof f->account.row + f->account.row.tail_count * sizeof *f->account.tail);
}

static void grow(struct fixture *f, unsigned count)
{
    write_index(f, put_events, (struct change){.number = count});
}

static void put_definition(struct fixture *f, struct change change)
{
    uint8_t key[4];
    struct buffer packed = {0};
    struct asset_definition asset = {
        .id = bytes_of_string(change.id), .class = ASSET_CLASS_FIAT, .precision = 2, .name = BYTES_LITERAL("money")};
    asset_definition_pack(&packed, &asset);
    put(f, TABLE_ASSET_BY_NO, key, number_key(change.number, key), packed.base, packed.len);
    buffer_free(&packed);
}

static void put_asset(struct fixture *f, uint32_t number, const char *id)
{
    write_index(f, put_definition, (struct change){number, id});
}

static void read_index(struct fixture *f)
{
    assert_int_equal(index_reader_begin(f->reader, f->generation), 0);
}

/* The arbiter's way: a new folder in the old one's place, and the next generation. */
static void replace(struct fixture *f)
{
    char away[300];
    snprintf(away, sizeof away, "%s-%u", f->index_path, f->generation);
    assert_int_equal(rename(f->index_path, away), 0);
    f->generation++;
    f->last_seq = 0;
    memset(&f->account, 0, sizeof f->account);
}

static uint64_t seq_at_time(struct fixture *f, int64_t at_us)
{
    uint64_t seq = 0;
    struct book_row book;
    assert_int_equal(index_find_book_at(f->reader, BOOK, at_us, &book), 0);
    assert_int_equal(book.book_no, f->book_no);
    assert_int_equal(index_seq_at(f->reader, &book, at_us, &seq), 0);
    return seq;
}

static void check_time(struct fixture *f, int64_t at_us, uint64_t seq)
{
    struct account_value account;
    struct account_sums sums;
    assert_int_equal(seq_at_time(f, at_us), seq);
    assert_int_equal(index_find_account(f->reader, f->book_no, PATH, &account), 0);
    assert_int_equal(index_account_at(f->reader, f->book_no, &account, seq, &sums), 0);
    assert_int_equal(sums.updated_seq, seq / 3 * 3);
    assert_true(sums.debits == 10 * sums.updated_seq);
}

/* Before, at and between all times there are. */
static void check_all_times(struct fixture *f)
{
    read_index(f);
    check_time(f, INT64_MIN, 0);
    check_time(f, f->at_us[1] - 1, 0);
    check_time(f, INT64_MAX, f->last_seq);
    for (uint64_t seq = 1; seq <= f->last_seq; seq++) {
        if (seq < f->last_seq && f->at_us[seq + 1] == f->at_us[seq])
            continue;
        check_time(f, f->at_us[seq], seq);
        if (seq == f->last_seq || f->at_us[seq + 1] > f->at_us[seq] + 1)
            check_time(f, f->at_us[seq] + 1, seq);
    }
    index_reader_end(f->reader);
}

static void every_time_has_its_last_event_however_the_book_grows(void **state)
{
    struct fixture *f = begin(*state);
    static const unsigned steps[] = {1, 1, 1, 1, 3, 1, 120, 1000, 1, 5000};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        grow(f, steps[i]);
        check_all_times(f);
        check_all_times(f);
    }
    end(f);
}

static void the_row_of_a_book_is_never_older_than_the_time_that_is_asked_for(void **state)
{
    struct book_row book;
    struct fixture *f = begin(*state);
    grow(f, 100);
    read_index(f);
    assert_int_equal(index_find_book_at(f->reader, BYTES_LITERAL("none"), INT64_MIN, &book), ENOENT);
    assert_int_equal(index_find_book_at(f->reader, BOOK, INT64_MIN, &book), 0);
    index_reader_end(f->reader);
    int64_t then = f->at_us[100];
    grow(f, 100);
    read_index(f);
    assert_int_equal(index_find_book_at(f->reader, BOOK, then - 1, &book), 0);
    assert_true(book.last_at_us > then - 1);
    assert_int_equal(index_find_book_at(f->reader, BOOK, then, &book), 0);
    assert_int_equal(book.last_seq, 200);
    assert_int_equal(index_find_book_at(f->reader, BOOK, INT64_MAX, &book), 0);
    assert_int_equal(book.last_seq, 200);
    index_reader_end(f->reader);
    end(f);
}

static void check_asset(struct fixture *f, uint32_t number, const char *id)
{
    struct asset_definition asset;
    for (int again = 0; again < 2; again++) {
        read_index(f);
        assert_int_equal(index_asset(f->reader, number, &asset), 0);
        assert_true(bytes_equal(asset.id, bytes_of_string(id)));
        assert_true(bytes_equal(asset.name, BYTES_LITERAL("money")));
        assert_int_equal(asset.precision, 2);
        index_reader_end(f->reader);
    }
}

static void another_index_in_its_place_is_read_anew(void **state)
{
    struct book_row book;
    struct fixture *f = begin(*state);
    put_asset(f, 1, "USD");
    grow(f, 3000);
    check_asset(f, 1, "USD");
    check_all_times(f);
    replace(f);
    f->at_us[0] = 500; /* all times are other ones, and so are the numbers */
    f->book_no = 2;
    put_asset(f, 1, "EUR");
    grow(f, 3000);
    check_asset(f, 1, "EUR");
    check_all_times(f);
    replace(f);
    put_asset(f, 2, "GBP");
    read_index(f);
    struct asset_definition asset;
    assert_int_equal(index_find_book_at(f->reader, BOOK, INT64_MIN, &book), ENOENT);
    assert_int_equal(index_asset(f->reader, 1, &asset), ENOENT);
    index_reader_end(f->reader);
    end(f);
}

static void assets_of_any_number_and_length_are_found(void **state)
{
    static char long_id[2000];
    struct fixture *f = begin(*state);
    memset(long_id, 'x', sizeof long_id - 1);
    put_asset(f, 1, "USD");
    put_asset(f, 2, long_id);
    put_asset(f, 127, "near");
    put_asset(f, 128, "far");
    put_asset(f, UINT32_MAX, "farthest");
    check_asset(f, 1, "USD");
    check_asset(f, 2, long_id);
    check_asset(f, 127, "near");
    check_asset(f, 128, "far");
    check_asset(f, UINT32_MAX, "farthest");
    end(f);
}

/* Names of all lengths up to 60. */
static struct bytes name_of(uint32_t n, char out[static 64])
{
    return bytes_of(out, (size_t)snprintf(out, 64, "%0*u", 1 + (int)(n % 60), n));
}

static void put_many_books(struct fixture *f, struct change change)
{
    char name[64];
    uint8_t key[NAME_KEY_MAX];
    for (uint32_t n = 1; n <= change.number; n++) {
        struct book_row book = {.book_no = n, .last_seq = 1, .last_at_us = 1};
        put(f, TABLE_BOOKS, key, name_key(name_of(n, name), key), &book, sizeof book);
    }
}

static void two_books_are_not_taken_for_one_another(void **state)
{
    char name[64];
    struct fixture *f = begin(*state);
    write_index(f, put_many_books, (struct change){.number = 500});
    read_index(f);
    for (int round = 0; round < 2; round++)
        for (uint32_t n = 1; n <= 500; n++)
            for (int again = 0; again < 2; again++) {
                struct book_row book;
                assert_int_equal(index_find_book_at(f->reader, name_of(n, name), INT64_MIN, &book), 0);
                assert_int_equal(book.book_no, n);
            }
    index_reader_end(f->reader);
    end(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_time_has_its_last_event_however_the_book_grows, scratch_dir_setup,
                                        scratch_dir_teardown),
        cmocka_unit_test_setup_teardown(the_row_of_a_book_is_never_older_than_the_time_that_is_asked_for,
                                        scratch_dir_setup, scratch_dir_teardown),
        cmocka_unit_test_setup_teardown(another_index_in_its_place_is_read_anew, scratch_dir_setup,
                                        scratch_dir_teardown),
        cmocka_unit_test_setup_teardown(assets_of_any_number_and_length_are_found, scratch_dir_setup,
                                        scratch_dir_teardown),
        cmocka_unit_test_setup_teardown(two_books_are_not_taken_for_one_another, scratch_dir_setup,
                                        scratch_dir_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
