/* An account's postings as the arbiter puts them into the index, tail and blocks, and as a reader finds them. */
#include "common/posting_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "arbiter/directory.h"
#include "arbiter/working_set.h"
#include "common/data_dir.h"
#include "common/index_reader.h"
#include "tests/unit/scratch_dir.h"

#define ACCOUNTS 4
#define EVENTS 1000
#define BOOK BYTES_LITERAL("shop")
#define ENTRIES_MAX 300

/* What one event did to one account. */
struct expected {
    uint64_t seq;
    u128 debits, credits;
    uint32_t posting_count; /* 0: nothing */
};

struct fixture {
    char dir[240], index_path[256], long_path[400];
    struct index_writer *index;
    struct working_set *set;
    struct index_changes *changes;
    struct expected done[ACCOUNTS][EVENTS + 1]; /* by seq */
    uint64_t last_seq;
    struct posted_account posted[ACCOUNTS]; /* by the event that is made */
    uint8_t entries[ACCOUNTS * ENTRIES_MAX * POSTING_ENTRY_BYTES];
    uint32_t account_count, entry_count;
    uint32_t book_no;
    struct index_reader *reader;
};

static struct bytes path_of(const struct fixture *f, int account)
{
    static const char *const paths[ACCOUNTS] = {"hot", "rare", "large", NULL};
    return bytes_of_string(paths[account] ? paths[account] : f->long_path);
}

static void open_index(struct fixture *f)
{
    assert_int_equal(index_writer_open(f->index_path, &f->index), 0);
    f->set = working_set_create(f->index);
    f->changes = index_changes_create();
}

static void close_index(struct fixture *f)
{
    index_changes_destroy(&f->changes);
    working_set_destroy(&f->set);
    index_writer_close(&f->index);
}

static void commit(struct fixture *f)
{
    uint64_t puts, bytes, more_puts, more_bytes;
    working_set_weigh(f->set, &puts, &bytes);
    index_changes_weigh(f->changes, &more_puts, &more_bytes);
    assert_int_equal(index_writer_begin(f->index, puts + more_puts, bytes + more_bytes), 0);
    assert_int_equal(working_set_write(f->set), 0);
    assert_int_equal(index_changes_write(f->changes, f->index), 0);
    assert_int_equal(index_writer_commit(f->index), 0);
    working_set_settled(f->set);
    index_changes_clear(f->changes);
}

static struct fixture *begin(const char *dir)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    snprintf(f->dir, sizeof f->dir, "%s", dir);
    snprintf(f->index_path, sizeof f->index_path, "%s/%s", f->dir, DATA_DIR_INDEX);
    memset(f->long_path, 'x', sizeof f->long_path - 1);
    open_index(f);
    struct buffer packed = {0};
    struct asset_definition usd = {.id = BYTES_LITERAL("USD"), .class = ASSET_CLASS_FIAT, .name = BYTES_LITERAL("USD")};
    asset_definition_pack(&packed, &usd);
    uint32_t asset_no = working_set_new_asset(f->set, usd.id, buffer_bytes(&packed));
    struct book_entry *book = working_set_book(f->set, BOOK);
    for (int n = 0; n < ACCOUNTS; n++) {
        struct account_definition account = {.book = BOOK, .path = path_of(f, n), .asset = usd.id};
        working_set_new_account(f->set, book, &account, asset_no);
    }
    commit(f);
    buffer_free(&packed);
    return f;
}

static void end(struct fixture *f)
{
    index_reader_close(&f->reader);
    free(f);
}

static void fill_entries(uint8_t *entries, uint64_t seq, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        int64_t minor = (int64_t)(seq * 1000 + i);
        memcpy(entries + (size_t)i * POSTING_ENTRY_BYTES, &minor, sizeof minor);
        entries[(size_t)i * POSTING_ENTRY_BYTES + 8] = (uint8_t)(i % 2);
    }
}

static struct uuid id_of(uint64_t seq)
{
    struct uuid id = {{0}};
    memcpy(id.octets, &seq, sizeof seq);
    return id;
}

static void post(struct fixture *f, int n, uint64_t seq, uint32_t posting_count)
{
    struct book_entry *book = working_set_book(f->set, BOOK);
    struct account_entry *account = working_set_find_account(f->set, book, path_of(f, n));
    assert_non_null(account);
    struct ledger_account *rules = account_entry_rules(account);
    rules->next_debits = rules->debits + seq;
    rules->next_credits = rules->credits + 1;
    fill_entries(f->entries + f->entry_count * POSTING_ENTRY_BYTES, seq, posting_count);
    f->posted[f->account_count++] = (struct posted_account){
        .debits = rules->next_debits,
        .credits = rules->next_credits,
        .account_no = account_entry_row(account)->account_no,
        .posting_count = posting_count,
        .first_entry = f->entry_count,
    };
    f->entry_count += posting_count;
    working_set_apply(f->set, account, book, seq, f->changes);
    f->done[n][seq] = (struct expected){seq, rules->debits, rules->credits, posting_count};
}

static void end_event(struct fixture *f, uint64_t seq)
{
    struct buffer posted = {0};
    struct event_row row = {.at_us = (int64_t)seq * 7};
    uint32_t book_no = book_entry_row(working_set_book(f->set, BOOK))->book_no;
    if (f->account_count > 0)
        posted_append(&posted, id_of(seq), f->posted, f->account_count, f->entries, f->entry_count);
    index_changes_event(f->changes, book_no, seq, &row, buffer_bytes(&posted));
    f->account_count = f->entry_count = 0;
    buffer_free(&posted);
}

/* How many postings the event has on the account: most often one, so that tails come to their very end. */
static uint32_t postings_of(int account, uint64_t seq)
{
    switch (account) {
    case 0:
        return 1;
    case 1:
        return seq % 50 == 0;
    case 2:
        return seq % 3 ? 0 : seq % 7 == 0 ? 64 + (uint32_t)(seq % 2) : seq % 11 == 0 ? ENTRIES_MAX : (uint32_t)(seq % 20);
    default:
        return seq % 2 ? 0 : 1 + (uint32_t)(seq % 5);
    }
}

/* Groups of some events each; the index is opened anew now and then, as a start does. */
static void post_all(struct fixture *f)
{
    while (f->last_seq < EVENTS) {
        uint64_t group = 1 + f->last_seq % 23;
        for (; group > 0 && f->last_seq < EVENTS; group--) {
            uint64_t seq = ++f->last_seq;
            for (int n = 0; n < ACCOUNTS; n++)
                if (postings_of(n, seq) > 0)
                    post(f, n, seq, postings_of(n, seq));
            end_event(f, seq);
        }
        commit(f);
        if (f->last_seq % 4 == 0) {
            close_index(f);
            open_index(f);
        }
    }
    close_index(f);
}

static void read_account(struct fixture *f, int n, struct account_value *account)
{
    struct book_row book;
    assert_int_equal(index_find_book(f->reader, BOOK, &book), 0);
    f->book_no = book.book_no;
    assert_int_equal(index_find_account(f->reader, book.book_no, path_of(f, n), account), 0);
}

static void begin_to_read(struct fixture *f)
{
    if (!f->reader)
        assert_int_equal(index_reader_open(f->dir, &f->reader), 0);
    assert_int_equal(index_reader_begin(f->reader, 0), 0);
}

static void the_sums_at_every_time_are_those_of_the_last_posting_before_it(void **state)
{
    struct fixture *f = begin(*state);
    post_all(f);
    begin_to_read(f);
    for (int n = 0; n < ACCOUNTS; n++) {
        struct account_value account;
        struct account_sums sums;
        struct expected last = {0};
        read_account(f, n, &account);
        for (uint64_t seq = 0; seq <= EVENTS; seq++) {
            if (f->done[n][seq].posting_count)
                last = f->done[n][seq];
            assert_int_equal(index_account_at(f->reader, f->book_no, &account, seq, &sums), 0);
            assert_int_equal(sums.updated_seq, last.seq);
            assert_true(sums.debits == last.debits && sums.credits == last.credits);
        }
        assert_true(account.row.debits == last.debits && account.row.updated_seq == last.seq);
    }
    index_reader_end(f->reader);
    end(f);
}

struct page {
    const struct fixture *f;
    int account;
    uint64_t last_seq;
    uint32_t count, stop_after;
};

static uint64_t next_seq(const struct fixture *f, int account, uint64_t seq)
{
    do
        seq++;
    while (seq <= EVENTS && f->done[account][seq].posting_count == 0);
    return seq;
}

static bool take_row(void *context, const struct posting_row *row)
{
    struct page *page = context;
    uint8_t entries[ENTRIES_MAX * POSTING_ENTRY_BYTES];
    assert_int_equal(row->seq, next_seq(page->f, page->account, page->last_seq));
    const struct expected *expected = &page->f->done[page->account][row->seq];
    struct uuid id = id_of(row->seq);
    assert_true(row->debits == expected->debits && row->credits == expected->credits);
    assert_int_equal(row->posting_count, expected->posting_count);
    assert_int_equal(row->at_us, (int64_t)row->seq * 7);
    assert_memory_equal(&row->tx_id, &id, sizeof id);
    fill_entries(entries, row->seq, row->posting_count);
    assert_memory_equal(row->entries, entries, (size_t)row->posting_count * POSTING_ENTRY_BYTES);
    page->last_seq = row->seq;
    page->count++;
    return page->count < page->stop_after;
}

static uint32_t rest_after(const struct fixture *f, int account, uint64_t seq)
{
    uint32_t count = 0;
    while ((seq = next_seq(f, account, seq)) <= EVENTS)
        count++;
    return count;
}

static void check_page(struct fixture *f, int n, uint64_t after, uint32_t limit, uint32_t stop_after)
{
    struct account_value account;
    struct page page = {f, n, after, 0, stop_after};
    bool exhausted;
    uint32_t rest = rest_after(f, n, after);
    uint32_t wanted = stop_after < limit ? stop_after : limit;
    read_account(f, n, &account);
    assert_int_equal(index_history(f->reader, f->book_no, &account, after, limit, take_row, &page, &exhausted), 0);
    assert_int_equal(page.count, rest < wanted ? rest : wanted);
    assert_int_equal(exhausted, page.count == rest && page.count < limit);
}

static void history_from_any_place_has_every_posting_once_and_in_order(void **state)
{
    static const uint32_t limits[] = {1, 2, 15, 16, 17, 100, 1000};
    struct fixture *f = begin(*state);
    post_all(f);
    begin_to_read(f);
    for (int n = 0; n < ACCOUNTS; n++) {
        for (uint64_t after = 0; after <= EVENTS; after++)
            for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
                check_page(f, n, after, limits[i], UINT32_MAX);
        for (uint64_t after = 0; after <= EVENTS; after += 13)
            for (uint32_t stop = 1; stop < 20; stop++)
                check_page(f, n, after, 15, stop);
        struct account_value account;
        bool exhausted;
        struct page page = {f, n, EVENTS, 0, 1};
        read_account(f, n, &account);
        assert_int_equal(index_history(f->reader, f->book_no, &account, UINT64_MAX, 1, take_row, &page, &exhausted), 0);
        assert_true(exhausted && page.count == 0);
    }
    index_reader_end(f->reader);
    end(f);
}

#define MANY_ACCOUNTS 70000 /* more than the arbiter keeps in memory */

static struct bytes many_path(unsigned n, char out[static 16])
{
    return bytes_of(out, (size_t)snprintf(out, 16, "many/%u", n));
}

static void an_account_that_was_forgotten_goes_on_where_it_was(void **state)
{
    char path[16];
    struct account_value account;
    struct fixture *f = begin(*state);
    post(f, 0, ++f->last_seq, 1);
    end_event(f, f->last_seq);
    commit(f);
    for (unsigned n = 0; n < MANY_ACCOUNTS; n++) {
        struct account_definition many = {.book = BOOK, .path = many_path(n, path), .asset = BYTES_LITERAL("USD")};
        working_set_new_account(f->set, working_set_book(f->set, BOOK), &many,
                                working_set_find_asset(f->set, many.asset));
        if (n % 1000 == 0)
            commit(f);
    }
    post(f, 0, ++f->last_seq, 1);
    end_event(f, f->last_seq);
    commit(f);
    close_index(f);
    begin_to_read(f);
    read_account(f, 0, &account);
    assert_int_equal(account.row.tail_count, 2);
    assert_true(account.row.debits == 1 + 2 && account.row.updated_seq == 2);
    index_reader_end(f->reader);
    end(f);
}

static void most_postings_put_no_row_of_their_own(void **state)
{
    uint64_t blocks;
    struct fixture *f = begin(*state);
    while (f->last_seq < EVENTS) {
        post(f, 0, ++f->last_seq, 1);
        end_event(f, f->last_seq);
        commit(f);
    }
    close_index(f);
    begin_to_read(f);
    assert_int_equal(index_row_count(f->reader, TABLE_POSTINGS, &blocks), 0);
    assert_int_equal(blocks, (EVENTS - 1) / POSTING_TAIL_MAX);
    index_reader_end(f->reader);
    end(f);
}

static void a_row_that_is_cut_off_is_malformed(void **state)
{
    (void)state;
    struct buffer value = {0};
    struct event_row event = {.at_us = 11};
    uint8_t entries[6 * POSTING_ENTRY_BYTES];
    struct posted_account accounts[] = {{.account_no = 9, .posting_count = 2, .first_entry = 4},
                                        {.account_no = 3, .posting_count = 4}};
    struct posting_row row;
    fill_entries(entries, 1, 6);
    buffer_append(&value, &event, sizeof event);
    assert_int_equal(posted_find(buffer_bytes(&value), 5, 3, &row), ENOENT); /* an account's opening, say */
    posted_append(&value, id_of(5), accounts, 2, entries, 6);
    for (size_t length = 0; length < value.len; length++)
        if (length != sizeof event)
            assert_int_equal(posted_find(bytes_of(value.base, length), 5, 9, &row), EIO);
    assert_int_equal(posted_find(buffer_bytes(&value), 5, 9, &row), 0);
    assert_memory_equal(row.entries, entries + 4 * POSTING_ENTRY_BYTES, 2 * POSTING_ENTRY_BYTES);
    assert_int_equal(posted_find(buffer_bytes(&value), 5, 3, &row), 0);
    assert_memory_equal(row.entries, entries, 4 * POSTING_ENTRY_BYTES);
    assert_true(row.seq == 5 && row.at_us == 11);
    assert_int_equal(posted_find(buffer_bytes(&value), 5, 4, &row), ENOENT);
    buffer_free(&value);
}

static void an_account_that_is_cut_off_is_malformed(void **state)
{
    (void)state;
    struct buffer value = {0};
    struct account_value found;
    struct account_row row = {.tail_count = 2};
    uint64_t tail[] = {4, 7};
    buffer_append(&value, &row, sizeof row);
    buffer_append(&value, tail, sizeof tail);
    for (size_t length = 0; length < value.len; length++)
        assert_int_equal(account_value_read(bytes_of(value.base, length), &found), EIO);
    buffer_append(&value, "path", 4);
    assert_int_equal(account_value_read(buffer_bytes(&value), &found), 0);
    assert_true(bytes_equal(found.path, BYTES_LITERAL("path")));
    assert_int_equal(seq_until(found.tail, 3), 0);
    assert_int_equal(seq_until(found.tail, 6), 4);
    assert_int_equal(seq_until(found.tail, UINT64_MAX), 7);
    row.tail_count = POSTING_TAIL_MAX + 1;
    memcpy(value.base, &row, sizeof row);
    assert_int_equal(account_value_read(buffer_bytes(&value), &found), EIO);
    buffer_free(&value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_sums_at_every_time_are_those_of_the_last_posting_before_it,
                                        scratch_dir_setup, scratch_dir_teardown),
        cmocka_unit_test_setup_teardown(history_from_any_place_has_every_posting_once_and_in_order, scratch_dir_setup,
                                        scratch_dir_teardown),
        cmocka_unit_test_setup_teardown(an_account_that_was_forgotten_goes_on_where_it_was, scratch_dir_setup,
                                        scratch_dir_teardown),
        cmocka_unit_test_setup_teardown(most_postings_put_no_row_of_their_own, scratch_dir_setup,
                                        scratch_dir_teardown),
        cmocka_unit_test(a_row_that_is_cut_off_is_malformed),
        cmocka_unit_test(an_account_that_is_cut_off_is_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
