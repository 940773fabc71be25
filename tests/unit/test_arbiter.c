/*
 * The arbiter as a process, spoken to over its rings as a worker would, in a
 * directory of its own: verdicts, what the index shows, restarts of every
 * kind. No server is involved.
 */
#include "common/border.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "common/exit_status.h"
#include "common/index_reader.h"
#include "common/message.h"
#include "common/report.h"
#include "common/rfc3339.h"
#include "tests/unit/scratch_dir.h"

#define ANSWER_WAIT_MS 20000

struct ledger {
    struct border *border;
    struct settings settings;
    pid_t arbiter;
    struct ring submissions, completions;
    uint64_t next_request;
    struct index_reader *reader;
};

static pid_t start_arbiter(struct ledger *l)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        report_set_level(REPORT_ERROR);
        arbiter_run(l->border, &l->settings);
    }
    return pid;
}

static void wait_for_bell(struct bell *bell)
{
    bell_wait(bell, 20);
    bell_wake_up(bell);
}

static void wait_until_ready(struct ledger *l)
{
    struct bell *bell = &l->border->worker[0].bell;
    uint64_t begin = clock_monotonic_ns();
    for (;;) {
        bell_prepare_sleep(bell);
        if (atomic_load(&l->border->arbiter_state) == ARBITER_READY &&
            atomic_load(&l->border->worker[0].ring_generation) == 1)
            break;
        assert_int_equal(waitpid(l->arbiter, NULL, WNOHANG), 0);
        assert_true(clock_monotonic_ns() - begin < ANSWER_WAIT_MS * 1000000ull);
        wait_for_bell(bell);
    }
    bell_wake_up(bell);
}

static void start(struct ledger *l, const char *dir)
{
    *l = (struct ledger){.next_request = 1};
    l->settings = (struct settings){
        .data_dir = (char *)dir,
        .write_queue_depth = 100000,
        .write_batch_max = 64,
        .log_snapshot_every = 500,
        .log_idem_hot_cap = 100,
        .log_segment_max = 65536,
    };
    assert_int_equal(border_create(&l->border), 0);
    atomic_store(&l->border->worker[0].generation, 1);
    l->arbiter = start_arbiter(l);
    wait_until_ready(l);
    ring_attach_producer(&l->submissions, &l->border->worker[0].submissions, border_submission_bytes(l->border, 0),
                         SUBMISSION_RING_BYTES);
    ring_attach_consumer(&l->completions, &l->border->worker[0].completions, border_completion_bytes(l->border, 0),
                         COMPLETION_RING_BYTES);
    assert_int_equal(index_reader_open(dir, &l->reader), 0);
}

static void finish(struct ledger *l)
{
    index_reader_close(&l->reader);
    border_destroy(&l->border);
}

static void stop(struct ledger *l)
{
    int status;
    atomic_store(&l->border->arbiter_order, ORDER_DRAIN);
    bell_ring(&l->border->arbiter_bell);
    assert_int_equal(waitpid(l->arbiter, &status, 0), l->arbiter);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EXIT_STATUS_OK);
    finish(l);
}

static void kill_it(struct ledger *l)
{
    assert_int_equal(kill(l->arbiter, SIGKILL), 0);
    assert_int_equal(waitpid(l->arbiter, NULL, 0), l->arbiter);
    finish(l);
}

static void take_answer(struct ledger *l, uint64_t request_id, struct verdict *verdicts, uint32_t count)
{
    struct bell *bell = &l->border->worker[0].bell;
    struct buffer message = {0};
    uint64_t begin = clock_monotonic_ns();
    for (;;) {
        bell_prepare_sleep(bell);
        int error = ring_take(&l->completions, &message);
        if (error == 0)
            break;
        assert_int_equal(error, EAGAIN);
        assert_true(clock_monotonic_ns() - begin < ANSWER_WAIT_MS * 1000000ull);
        wait_for_bell(bell);
    }
    bell_wake_up(bell);
    struct completion_head head;
    assert_int_equal(message.len, sizeof head + count * sizeof *verdicts);
    memcpy(&head, message.base, sizeof head);
    assert_int_equal(head.request_id, request_id);
    assert_int_equal(head.count, count);
    memcpy(verdicts, message.base + sizeof head, count * sizeof *verdicts);
    buffer_free(&message);
}

static void submit(struct ledger *l, struct buffer *message)
{
    assert_int_equal(ring_put(&l->submissions, message->base, message->len), 0);
    bell_ring(&l->border->arbiter_bell);
    buffer_free(message);
}

static uint64_t epoch(struct ledger *l)
{
    return atomic_load(&l->border->arbiter_epoch);
}

static struct verdict register_asset(struct ledger *l, const char *id, uint8_t precision)
{
    struct verdict verdict;
    struct buffer message = {0};
    struct asset_definition asset = {
        .id = bytes_of_string(id),
        .class = ASSET_CLASS_FIAT,
        .precision = precision,
        .name = bytes_of_string(id),
    };
    submission_begin(&message, SUBMISSION_ASSET, 1, l->next_request, epoch(l));
    submission_add_asset(&message, &asset);
    submit(l, &message);
    take_answer(l, l->next_request++, &verdict, 1);
    return verdict;
}

static struct verdict open_account(struct ledger *l, const char *book, const char *path, const char *asset,
                                   bool has_min_balance)
{
    struct verdict verdict;
    struct buffer message = {0};
    struct account_definition account = {
        .book = bytes_of_string(book),
        .path = bytes_of_string(path),
        .asset = bytes_of_string(asset),
        .kind = ACCOUNT_KIND_ASSET,
        .normal_side = NORMAL_SIDE_DEBIT,
        .has_min_balance = has_min_balance,
    };
    submission_begin(&message, SUBMISSION_ACCOUNT, 1, l->next_request, epoch(l));
    submission_add_account(&message, &account);
    submit(l, &message);
    take_answer(l, l->next_request++, &verdict, 1);
    return verdict;
}

static void add_draft(struct buffer *message, const char *book, const char *key, const char *debit, const char *credit,
                      int64_t minor)
{
    struct posting postings[] = {
        {bytes_of_string(debit), BYTES_LITERAL("USD"), minor, DIRECTION_DEBIT},
        {bytes_of_string(credit), BYTES_LITERAL("USD"), minor, DIRECTION_CREDIT},
    };
    struct draft draft = {
        .book = bytes_of_string(book),
        .idempotency_key = bytes_of_string(key),
        .postings = postings,
        .posting_count = 2,
    };
    submission_add_draft(message, &draft);
}

static struct verdict post(struct ledger *l, const char *book, const char *key, int64_t minor)
{
    struct verdict verdict;
    struct buffer message = {0};
    submission_begin(&message, SUBMISSION_POST, 1, l->next_request, epoch(l));
    add_draft(&message, book, key, "cash", "sales", minor);
    submit(l, &message);
    take_answer(l, l->next_request++, &verdict, 1);
    return verdict;
}

#define BATCH 100
static void post_batch(struct ledger *l, const char *book, int first_key, struct verdict verdicts[BATCH])
{
    struct buffer message = {0};
    submission_begin(&message, SUBMISSION_POST, BATCH, l->next_request, epoch(l));
    for (int i = 0; i < BATCH; i++) {
        char key[32];
        snprintf(key, sizeof key, "key-%d", first_key + i);
        add_draft(&message, book, key, "cash", "sales", 1);
    }
    submit(l, &message);
    take_answer(l, l->next_request++, verdicts, BATCH);
}

static void set_up_book(struct ledger *l, const char *book)
{
    assert_int_equal(register_asset(l, "USD", 2).code, VERDICT_DONE);
    assert_int_equal(open_account(l, book, "cash", "USD", false).code, VERDICT_DONE);
    assert_int_equal(open_account(l, book, "sales", "USD", false).code, VERDICT_DONE);
}

static u128 debits_of(struct ledger *l, const char *book, const char *path)
{
    struct book_row book_row;
    struct account_value account;
    assert_int_equal(index_reader_begin(l->reader, atomic_load(&l->border->index_generation)), 0);
    assert_int_equal(index_find_book(l->reader, bytes_of_string(book), &book_row), 0);
    assert_int_equal(index_find_account(l->reader, book_row.book_no, bytes_of_string(path), &account), 0);
    index_reader_end(l->reader);
    return account.row.debits;
}

static void posts_are_decided_and_shown_at_once(void **state)
{
    struct ledger l;
    start(&l, *state);
    assert_int_equal(open_account(&l, "shop", "cash", "USD", false).code, VERDICT_UNKNOWN_ASSET);
    set_up_book(&l, "shop");
    assert_int_equal(register_asset(&l, "USD", 2).code, VERDICT_DONE);
    assert_int_equal(register_asset(&l, "USD", 3).code, VERDICT_ALREADY_EXISTS);
    assert_int_equal(open_account(&l, "shop", "cash", "USD", true).code, VERDICT_ALREADY_EXISTS);
    struct verdict first = post(&l, "shop", "k1", 70);
    assert_int_equal(first.code, VERDICT_POSTED);
    assert_int_equal(first.seq, 3);
    assert_int_equal(first.deduplicated, 0);
    assert_true(debits_of(&l, "shop", "cash") == 70);
    struct verdict again = post(&l, "shop", "k1", 9);
    assert_int_equal(again.deduplicated, 1);
    assert_int_equal(again.seq, 3);
    assert_memory_equal(&again.tx_id, &first.tx_id, sizeof first.tx_id);
    assert_int_equal(post(&l, "other", "k1", 9).code, VERDICT_UNKNOWN_ACCOUNT);
    assert_int_equal(post(&l, "shop", "k2", 0).code, VERDICT_INVALID_AMOUNT);
    assert_int_equal(post(&l, "shop", "k3", 1).seq, 4);
    stop(&l);
}

static void every_key_is_known_after_restarts_of_every_kind(void **state)
{
    static struct verdict first[20][BATCH];
    struct ledger l;
    char path[1024];
    start(&l, *state);
    set_up_book(&l, "shop");
    for (int n = 0; n < 20; n++)
        post_batch(&l, "shop", n * BATCH, first[n]);
    for (int round = 0; round < 6; round++) {
        if (round == 5) {
            stop(&l);
        } else {
            kill_it(&l);
        }
        snprintf(path, sizeof path, "rm -rf '%s/index'", (char *)*state);
        if (round == 1 || round == 2)
            assert_int_equal(system(path), 0);
        snprintf(path, sizeof path, "rm -rf '%s/snapshots' '%s/idempotency'", (char *)*state, (char *)*state);
        if (round == 2 || round == 3)
            assert_int_equal(system(path), 0);
        start(&l, *state);
        for (int n = 0; n < 20; n++) {
            struct verdict again[BATCH];
            post_batch(&l, "shop", n * BATCH, again);
            for (int i = 0; i < BATCH; i++) {
                assert_int_equal(again[i].code, VERDICT_POSTED);
                assert_int_equal(again[i].deduplicated, 1);
                assert_int_equal(again[i].seq, first[n][i].seq);
                assert_int_equal(again[i].at_us, first[n][i].at_us);
                assert_memory_equal(&again[i].tx_id, &first[n][i].tx_id, sizeof first[n][i].tx_id);
            }
        }
        assert_true(debits_of(&l, "shop", "cash") == (u128)(20 * BATCH + round));
        char key[32];
        snprintf(key, sizeof key, "round-%d", round);
        struct verdict fresh = post(&l, "shop", key, 1);
        assert_int_equal(fresh.deduplicated, 0);
        assert_int_equal(fresh.seq, (uint64_t)(2 + 20 * BATCH + round + 1));
    }
    stop(&l);
}

static void a_second_arbiter_finds_the_directory_locked(void **state)
{
    struct ledger l;
    int status;
    start(&l, *state);
    struct ledger second = l;
    assert_int_equal(border_create(&second.border), 0);
    pid_t pid = start_arbiter(&second);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EXIT_STATUS_LOCKED);
    border_destroy(&second.border);
    stop(&l);
}

static void submissions_of_another_epoch_are_dropped(void **state)
{
    struct ledger l;
    struct buffer message = {0};
    start(&l, *state);
    set_up_book(&l, "shop");
    submission_begin(&message, SUBMISSION_POST, 1, 999, epoch(&l) - 1);
    add_draft(&message, "shop", "stale", "cash", "sales", 5);
    submit(&l, &message);
    struct verdict fresh = post(&l, "shop", "stale", 5); /* take_answer checks that no answer to 999 came before */
    assert_int_equal(fresh.deduplicated, 0);
    stop(&l);
}

int main(void)
{
#define SCRATCH_TEST(f) cmocka_unit_test_setup_teardown(f, scratch_dir_setup, scratch_dir_teardown)
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(posts_are_decided_and_shown_at_once),
        SCRATCH_TEST(every_key_is_known_after_restarts_of_every_kind),
        SCRATCH_TEST(a_second_arbiter_finds_the_directory_locked),
        SCRATCH_TEST(submissions_of_another_epoch_are_dropped),
    };
    return cmocka_run_group_tests_name("arbiter", tests, NULL, NULL);
}
