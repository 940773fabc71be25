/* The store over a log that the test writes: what a replay may make durable, and when; groups one over the other. */
#include "arbiter/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/stat.h>

#include "arbiter/directory.h"
#include "arbiter/log_writer.h"
#include "common/data_dir.h"
#include "common/ledger.h"
#include "tests/unit/scratch_dir.h"

#define BOOK BYTES_LITERAL("shop")
#define HOT_CAP 8 /* a spill is due after 3 keys */
#define BATCHES 12

struct fixture {
    const char *dir;
    struct log_writer *log;
    struct store *store;
    struct uuid ledger;
    uint64_t last_batch; /* position of the newest */
};

static void open_store(struct fixture *f, bool *has_mark, struct log_mark *mark)
{
    assert_int_equal(store_open(f->dir, f->ledger, HOT_CAP, &f->store, has_mark, mark), 0);
}

static void begin(struct fixture *f, const char *dir)
{
    struct log_head head;
    struct log_mark mark;
    bool has_mark;
    *f = (struct fixture){.dir = dir};
    assert_int_equal(directory_prepare(dir), 0);
    assert_int_equal(log_create(dir, &head), 0);
    assert_int_equal(log_writer_open(dir, &head, head.position, 0, 1 << 20, &f->log), 0);
    f->ledger = head.ledger;
    open_store(f, &has_mark, &mark);
    assert_false(has_mark);
}

/* What was decided is on the way to the log, and in the index without its commit. */
static void write_batch(struct fixture *f)
{
    f->last_batch = log_writer_head(f->log)->position;
    log_writer_begin(f->log, store_payload(f->store), store_event_count(f->store), 1, true);
    const struct log_head *head = log_writer_next(f->log);
    struct log_mark after = {head->position, head->next_batch, head->chain, head->ledger};
    assert_int_equal(store_write(f->store, &after), 0);
}

static void settle(struct fixture *f)
{
    uint64_t sync_ns;
    assert_int_equal(log_writer_end(f->log, &sync_ns), 0);
    assert_int_equal(store_commit(f->store), 0);
}

/* What was decided becomes a batch, on disk and in the index. */
static void commit(struct fixture *f)
{
    write_batch(f);
    settle(f);
}

static void begin_batch(struct fixture *f)
{
    assert_int_equal(store_reserve(f->store, 4, 8, 4096), 0);
    assert_int_equal(log_writer_reserve(f->log, 4096), 0);
    store_begin(f->store, log_writer_next(f->log)->position);
}

static void define(struct fixture *f)
{
    struct asset_definition usd = {.id = BYTES_LITERAL("USD"), .class = ASSET_CLASS_FIAT, .name = BYTES_LITERAL("USD")};
    struct account_definition accounts[] = {
        {.path = BYTES_LITERAL("cash"), .asset = usd.id, .kind = ACCOUNT_KIND_ASSET},
        {.path = BYTES_LITERAL("sales"), .asset = usd.id, .kind = ACCOUNT_KIND_INCOME},
    };
    struct buffer packed = {0};
    struct verdict verdict = {0};
    begin_batch(f);
    asset_definition_pack(&packed, &usd);
    store_decide_asset(f->store, buffer_bytes(&packed), 1, &verdict);
    assert_int_equal(verdict.code, VERDICT_DONE);
    for (size_t i = 0; i < 2; i++) {
        buffer_clear(&packed);
        account_definition_pack(&packed, &accounts[i]);
        store_decide_account(f->store, BOOK, buffer_bytes(&packed), 1, &verdict);
        assert_int_equal(verdict.code, VERDICT_DONE);
    }
    commit(f);
    buffer_free(&packed);
}

/* Its verdict. */
static struct verdict decide(struct fixture *f, int n)
{
    char key[16];
    const struct posting postings[] = {
        {BYTES_LITERAL("cash"), BYTES_LITERAL("USD"), 1, DIRECTION_DEBIT},
        {BYTES_LITERAL("sales"), BYTES_LITERAL("USD"), 1, DIRECTION_CREDIT},
    };
    snprintf(key, sizeof key, "k%d", n);
    struct draft draft = {.idempotency_key = bytes_of_string(key), .postings = postings, .posting_count = 2};
    struct buffer packed = {0};
    struct verdict verdict = {0};
    draft_pack_body(&packed, &draft);
    store_decide_post(f->store, BOOK, buffer_bytes(&packed), n, &verdict);
    assert_int_equal(verdict.code, VERDICT_POSTED);
    buffer_free(&packed);
    return verdict;
}

static void post(struct fixture *f, int n)
{
    begin_batch(f);
    (void)decide(f, n);
    commit(f);
}

static int replay_batch(void *store, const struct batch_header *header, struct bytes payload,
                        const struct log_mark *after)
{
    return store_replay_batch(store, header, payload, after);
}

/* A start up to where the log's tail would be written anew; what is spilled by then is on stable storage. */
static void replay(struct fixture *f)
{
    struct log_mark mark;
    bool has_mark;
    struct recovered_log log;
    open_store(f, &has_mark, &mark);
    struct log_recovery_plan plan = {.from = has_mark ? &mark : NULL, .visit = replay_batch, .context = f->store};
    assert_int_equal(log_recover(f->dir, &plan, &log), 0);
    assert_int_equal(store_replay_end(f->store), 0);
    store_close(&f->store);
    open_store(f, &has_mark, &mark);
}

static void keys_of_a_batch_that_nothing_proves_durable_are_not_spilled(void **state)
{
    for (int batches = 1; batches <= BATCHES; batches++) {
        struct fixture f;
        char *dir;
        assert_true(asprintf(&dir, "%s/%d", (const char *)*state, batches) > 0);
        begin(&f, dir);
        define(&f);
        for (int n = 0; n < batches; n++)
            post(&f, n);
        for (int keep_index = 1; keep_index >= 0; keep_index--) {
            store_close(&f.store);
            assert_int_equal(directory_remove(dir, DATA_DIR_IDEMPOTENCY), 0);
            if (!keep_index)
                assert_int_equal(directory_remove(dir, DATA_DIR_INDEX), 0);
            replay(&f);
            assert_true(store_keys_position(f.store) <= f.last_batch);
            assert_true(batches < 6 || store_keys_position(f.store) > 0);
        }
        store_close(&f.store);
        log_writer_close(&f.log);
        free(dir);
    }
}

static uint64_t committed_events(struct fixture *f)
{
    struct store_figures figures;
    store_read_figures(f->store, &figures);
    return figures.events;
}

static void a_group_sees_what_the_one_under_way_has_decided(void **state)
{
    struct fixture f;
    begin(&f, *state);
    define(&f);
    uint64_t before = committed_events(&f);
    begin_batch(&f);
    struct verdict first = decide(&f, 1);
    write_batch(&f);
    begin_batch(&f);
    struct verdict again = decide(&f, 1), second = decide(&f, 2);
    assert_true(again.deduplicated);
    assert_memory_equal(&again.tx_id, &first.tx_id, sizeof first.tx_id);
    assert_int_equal(second.seq, first.seq + 1);
    assert_int_equal(committed_events(&f), before);
    settle(&f);
    assert_int_equal(committed_events(&f), before + 1);
    commit(&f);
    assert_int_equal(committed_events(&f), before + 2);
    store_close(&f.store);
    replay(&f);
    assert_int_equal(committed_events(&f), before + 2);
    store_close(&f.store);
    log_writer_close(&f.log);
}

static void room_that_only_the_next_commit_can_make_is_waited_for(void **state)
{
    struct fixture f;
    begin(&f, *state);
    define(&f);
    begin_batch(&f);
    (void)decide(&f, 1);
    write_batch(&f);
    assert_int_equal(store_reserve(f.store, 1, 2, 0), 0);
    assert_int_equal(store_reserve(f.store, 100000, 200000, 0), EBUSY);
    assert_int_equal(log_writer_reserve(f.log, 1000), 0);
    assert_int_equal(log_writer_reserve(f.log, 8u << 20), EBUSY);
    settle(&f);
    assert_int_equal(store_reserve(f.store, 100000, 200000, 0), 0);
    assert_int_equal(log_writer_reserve(f.log, 8u << 20), 0);
    store_close(&f.store);
    log_writer_close(&f.log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keys_of_a_batch_that_nothing_proves_durable_are_not_spilled, scratch_dir_setup,
                                        scratch_dir_teardown),
        cmocka_unit_test_setup_teardown(a_group_sees_what_the_one_under_way_has_decided, scratch_dir_setup,
                                        scratch_dir_teardown),
        cmocka_unit_test_setup_teardown(room_that_only_the_next_commit_can_make_is_waited_for, scratch_dir_setup,
                                        scratch_dir_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
