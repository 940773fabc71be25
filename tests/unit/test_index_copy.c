/* A copy of the index that is made while another process goes on writing it: exactly one state of it. */
#include "arbiter/index_copy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <lmdb.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "arbiter/index_writer.h"
#include "tests/unit/scratch_dir.h"

#define BOOKS 3
#define EVENTS_BEFORE 20000
#define EVENTS_FOR_COMMIT 7
#define BLOCK_SEQS 8 /* those of an account that are newer than its last block have no row yet */

struct fixture {
    char index_path[256], file[256];
    struct index_writer *index;
    struct index_meta meta;
    uint64_t last_seq[BOOKS + 1]; /* by book number; the account of the same number is the book's only one */
};

static void put(struct fixture *f, enum index_table table, const void *key, size_t key_len, const void *row, size_t len)
{
    assert_int_equal(index_writer_put(f->index, table, key, key_len, row, len), 0);
}

static void transaction_id(uint32_t book_no, uint64_t seq, uint64_t out[2])
{
    out[0] = (seq * BOOKS + book_no) * 0x9e3779b97f4a7c15u; /* in no order */
    out[1] = book_no;
}

static void put_event(struct fixture *f, uint32_t book_no)
{
    uint8_t key[16];
    uint64_t id[2], seq = ++f->last_seq[book_no];
    struct event_row event = {.position = seq};
    struct transaction_row transaction = {.seq = seq, .book_no = book_no};
    transaction_id(book_no, seq, id);
    if (seq % BLOCK_SEQS == 0)
        put(f, TABLE_POSTINGS, key, posting_table_key(book_no, seq - BLOCK_SEQS + 1, key), &seq, sizeof seq);
    put(f, TABLE_EVENTS, key, event_table_key(book_no, seq, key), &event, sizeof event);
    put(f, TABLE_TRANSACTIONS, id, sizeof id, &transaction, sizeof transaction);
    f->meta.event_count++;
}

static void put_state(struct fixture *f)
{
    for (uint32_t n = 1; n <= BOOKS; n++) {
        uint8_t key[4 + NAME_KEY_MAX];
        struct book_row book = {.book_no = n, .last_seq = f->last_seq[n]};
        struct account_row account = {.account_no = n, .updated_seq = f->last_seq[n],
                                      .blocked_seq = f->last_seq[n] / BLOCK_SEQS * BLOCK_SEQS};
        put(f, TABLE_BOOKS, key, number_key(n, key), &book, sizeof book);
        put(f, TABLE_ACCOUNTS, key, account_table_key(n, BYTES_LITERAL("cash"), key), &account, sizeof account);
    }
    put(f, TABLE_META, "state", 5, &f->meta, sizeof f->meta);
}

static void commit(struct fixture *f, int events)
{
    assert_int_equal(index_writer_begin(f->index, 3 * (uint64_t)events + 2 * BOOKS + 1, 200 * (uint64_t)events), 0);
    for (int i = 0; i < events; i++)
        put_event(f, 1 + (uint32_t)((f->meta.event_count * 5 / 2) % BOOKS));
    put_state(f);
    assert_int_equal(index_writer_commit(f->index), 0);
}

static void begin(struct fixture *f, const char *dir)
{
    *f = (struct fixture){.meta = {.version = INDEX_VERSION, .book_count = BOOKS, .account_count = BOOKS}};
    snprintf(f->index_path, sizeof f->index_path, "%s/index", dir);
    snprintf(f->file, sizeof f->file, "%s/copy.mdb", dir);
    assert_int_equal(index_writer_open(f->index_path, &f->index), 0);
}

/* What the copy holds, read by LMDB itself. */
struct content {
    MDB_env *env;
    MDB_txn *txn;
    struct index_meta meta;
    uint64_t last_seq[BOOKS + 1];
};

static MDB_cursor *open_table(struct content *c, enum index_table table)
{
    MDB_dbi dbi;
    MDB_cursor *cursor;
    assert_int_equal(mdb_dbi_open(c->txn, index_table_names[table], 0, &dbi), 0);
    assert_int_equal(mdb_cursor_open(c->txn, dbi, &cursor), 0);
    return cursor;
}

static void open_copy(struct content *c, const char *file)
{
    MDB_val key, value;
    *c = (struct content){.env = NULL};
    assert_int_equal(mdb_env_create(&c->env), 0);
    assert_int_equal(mdb_env_set_maxdbs(c->env, INDEX_TABLE_COUNT), 0);
    assert_int_equal(mdb_env_open(c->env, file, MDB_RDONLY | MDB_NOSUBDIR | MDB_NOLOCK, 0600), 0);
    assert_int_equal(mdb_txn_begin(c->env, NULL, MDB_RDONLY, &c->txn), 0);
    MDB_cursor *meta = open_table(c, TABLE_META);
    assert_int_equal(mdb_cursor_get(meta, &key, &value, MDB_FIRST), 0);
    memcpy(&c->meta, value.mv_data, sizeof c->meta);
    mdb_cursor_close(meta);
    MDB_cursor *books = open_table(c, TABLE_BOOKS);
    for (int n = 0; mdb_cursor_get(books, &key, &value, MDB_NEXT) == 0; n++) {
        struct book_row row;
        memcpy(&row, value.mv_data, sizeof row);
        c->last_seq[row.book_no] = row.last_seq;
    }
    mdb_cursor_close(books);
}

static void close_copy(struct content *c)
{
    mdb_txn_abort(c->txn);
    mdb_env_close(c->env);
}

/*
 * Sequence numbers of each book (or of its one account), of which a row stands for `each`: without a gap, to the last
 * row of the state. Of blocks not one more, though the account's events may reach into the next.
 */
static void check_sequences(struct content *c, enum index_table table, size_t number_bytes, uint64_t each)
{
    MDB_val key, value;
    uint64_t last[BOOKS + 1] = {0};
    MDB_cursor *cursor = open_table(c, table);
    while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
        const uint8_t *at = key.mv_data;
        uint64_t number = number_bytes == 4 ? key_u32(at) : key_u64(at);
        assert_in_range(number, 1, BOOKS);
        assert_int_equal(key_u64(at + number_bytes), last[number] + 1);
        last[number] += each;
    }
    mdb_cursor_close(cursor);
    for (int n = 1; n <= BOOKS; n++)
        assert_int_equal(last[n], c->last_seq[n] / each * each);
}

static void check_transactions(struct content *c)
{
    MDB_val key, value;
    uint64_t count = 0;
    MDB_cursor *cursor = open_table(c, TABLE_TRANSACTIONS);
    for (; mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0; count++) {
        struct transaction_row row;
        uint64_t id[2];
        memcpy(&row, value.mv_data, sizeof row);
        transaction_id(row.book_no, row.seq, id);
        assert_memory_equal(key.mv_data, id, sizeof id);
        assert_in_range(row.seq, 1, c->last_seq[row.book_no]);
    }
    mdb_cursor_close(cursor);
    assert_int_equal(count, c->meta.event_count);
}

static void check_copy(struct fixture *f)
{
    struct content c;
    open_copy(&c, f->file);
    assert_int_equal(c.last_seq[1] + c.last_seq[2] + c.last_seq[3], c.meta.event_count);
    check_sequences(&c, TABLE_POSTINGS, 8, BLOCK_SEQS);
    check_sequences(&c, TABLE_EVENTS, 4, 1);
    check_transactions(&c);
    assert_in_range(c.meta.event_count, EVENTS_BEFORE, f->meta.event_count);
    close_copy(&c);
}

static pid_t copy_in_child(struct fixture *f)
{
    struct index_meta meta;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(index_copy(f->index_path, f->file, &meta) ? 1 : 0);
    return child;
}

static void a_copy_made_while_the_index_is_written_is_one_state_of_it(void **state)
{
    struct fixture f;
    int status;
    begin(&f, *state);
    commit(&f, EVENTS_BEFORE);
    pid_t child = copy_in_child(&f);
    while (waitpid(child, &status, WNOHANG) == 0)
        commit(&f, EVENTS_FOR_COMMIT);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    check_copy(&f);
    struct content c;
    open_copy(&c, f.file);
    assert_true(c.meta.event_count < f.meta.event_count); /* or nothing was written beside it */
    close_copy(&c);
    index_writer_close(&f.index);
}

static void pages_that_are_given_up_meanwhile_are_used_again(void **state)
{
    struct fixture f;
    int status;
    begin(&f, *state);
    commit(&f, EVENTS_BEFORE);
    commit(&f, 1);
    uint64_t before = index_writer_used_bytes(f.index), commits = 0;
    pid_t child = copy_in_child(&f);
    for (; waitpid(child, &status, WNOHANG) == 0; commits++)
        commit(&f, 1);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    /* A commit gives up its ten leaves and their branches; a row is of some 150 bytes. */
    assert_true(index_writer_used_bytes(f.index) - before < (1u << 20) + commits * 2 * 4096);
    assert_true(commits > 0);
    index_writer_close(&f.index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_copy_made_while_the_index_is_written_is_one_state_of_it, scratch_dir_setup,
                                        scratch_dir_teardown),
        cmocka_unit_test_setup_teardown(pages_that_are_given_up_meanwhile_are_used_again, scratch_dir_setup,
                                        scratch_dir_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
