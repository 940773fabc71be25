/*
 * The proof of talea-bench goes red: events of a run as a ledger would send
 * them, and each way in which they could be wrong.
 */
#include "tests/bench/proof.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SENT 6
#define MARK_SEQ 3 /* behind two accounts */
#define END_SEQ (MARK_SEQ + SENT + 1)

/* One book's run: six posts were acknowledged as the seqs behind the first mark. */
struct run {
    uint32_t values[SENT];
    struct outcomes outcomes;
    struct proof proof;
    struct book_proof book;
    sum_t unmet[1];
    char fault[FAULT_MAX];
};

static void begin(struct run *r)
{
    *r = (struct run){.outcomes = {.count = SENT}};
    for (uint32_t i = 0; i < SENT; i++)
        r->values[i] = MARK_SEQ + 1 + i;
    r->outcomes.values = r->values;
    r->proof = (struct proof){.plan = {.run = 0xabcdef012345, .books = 1, .accounts = 2},
                              .outcomes = &r->outcomes,
                              .threads = 1};
    r->book = (struct book_proof){.last_seq = MARK_SEQ, .end_seq = END_SEQ};
}

/* An event as the ledger sends it, of a draft of the plan. */
static const char *event_of(const struct run *r, uint64_t seq, uint64_t id)
{
    static char text[1000];
    char key[PLAN_KEY_LEN + 1] = "";
    struct planned_draft d;
    plan_draft(&r->proof.plan, id, &d);
    plan_write_key(key, &r->proof.plan, id);
    snprintf(text, sizeof text,
             "{\"seq\":%u,\"at\":\"2026-06-04T12:00:00.123456Z\",\"kind\":\"transaction_posted\",\"payload\":{"
             "\"kind\":\"transaction_posted\",\"id\":\"0190c8a4-1111-7222-8333-444455556666\",\"book\":\"bench-00000\","
             "\"postings\":[{\"account\":{\"book\":\"bench-00000\",\"path\":\"a%07u\"},\"amount\":{\"minor\":%u,"
             "\"asset\":\"USD\"},\"direction\":\"debit\"},{\"account\":{\"book\":\"bench-00000\",\"path\":\"a%07u\"},"
             "\"amount\":{\"minor\":%u,\"asset\":\"USD\"},\"direction\":\"credit\"}],\"idempotency_key\":\"%s\","
             "\"external_refs\":[{\"kind\":\"order\",\"value\":\"\\\"}]\"}],"
             "\"metadata\":{\"postings\":[{\"direction\":\"debit\"}]},\"occurred_at\":null}}",
             (unsigned)seq, d.debit, d.minor, d.credit, d.minor, key);
    return text;
}

static const char *foreign_event(uint64_t seq)
{
    static char text[400];
    snprintf(text, sizeof text,
             "{\"seq\":%u,\"at\":\"2026-06-04T12:00:00.123456Z\",\"kind\":\"transaction_posted\",\"payload\":{"
             "\"idempotency_key\":\"somebody's\",\"postings\":[]}}",
             (unsigned)seq);
    return text;
}

static bool take(struct run *r, const char *text)
{
    return proof_take_text(&r->proof, &r->book, text, strlen(text));
}

/* Events of all drafts from one number on, and of the second mark. */
static void take_rest(struct run *r, uint64_t from)
{
    for (uint64_t i = from; i < SENT; i++)
        assert_true(take(r, event_of(r, MARK_SEQ + 1 + i, i)));
    assert_false(r->book.is_over);
    assert_true(take(r, event_of(r, END_SEQ, plan_mark_id(0, PLAN_MARK_AFTER))));
    assert_true(r->book.is_over);
}

static void assert_fault(const struct run *r, const char *words)
{
    if (!strstr(r->book.fault, words) && !strstr(r->fault, words))
        fail_msg("'%s%s' does not say '%s'", r->book.fault, r->fault, words);
}

static bool nothing_is_missing(struct run *r)
{
    return proof_nothing_is_missing(&r->proof, r->unmet, r->fault);
}

static void what_was_acknowledged_and_is_there_once_is_right(void **state)
{
    (void)state;
    struct run r;
    begin(&r);
    take_rest(&r, 0);
    assert_true(nothing_is_missing(&r));
    assert_int_equal(r.book.keys, SENT);
    assert_int_equal(r.book.events, SENT + 1);
    assert_int_equal(r.book.foreign, 0);
}

static void an_acknowledged_key_that_is_not_there_is_told(void **state)
{
    (void)state;
    struct run r;
    begin(&r);
    assert_true(take(&r, foreign_event(MARK_SEQ + 1)));
    take_rest(&r, 1);
    assert_false(nothing_is_missing(&r));
    assert_fault(&r, "was acknowledged as seq 4, and is not there");
}

static void a_key_that_is_there_twice_is_told(void **state)
{
    (void)state;
    struct run r;
    begin(&r);
    assert_true(take(&r, event_of(&r, MARK_SEQ + 1, 0)));
    assert_false(take(&r, event_of(&r, MARK_SEQ + 2, 0)));
    assert_fault(&r, "is there twice");
}

static void a_key_under_another_seq_than_was_acknowledged_is_told(void **state)
{
    (void)state;
    struct run r;
    begin(&r);
    assert_false(take(&r, event_of(&r, MARK_SEQ + 1, 1)));
    assert_fault(&r, "was acknowledged as seq 5");
}

static void a_refused_key_that_is_there_is_told(void **state)
{
    (void)state;
    struct run r;
    begin(&r);
    r.values[0] = OUTCOME_REFUSED;
    assert_false(take(&r, event_of(&r, MARK_SEQ + 1, 0)));
    assert_fault(&r, "was refused");
}

static void an_unknown_outcome_may_be_there_once(void **state)
{
    (void)state;
    struct run r;
    begin(&r);
    r.values[0] = OUTCOME_UNKNOWN;
    take_rest(&r, 0);
    assert_true(nothing_is_missing(&r));
    assert_true(r.unmet[0] == 0);

    begin(&r);
    r.values[0] = OUTCOME_UNKNOWN;
    assert_true(take(&r, event_of(&r, MARK_SEQ + 1, 0)));
    assert_false(take(&r, event_of(&r, MARK_SEQ + 2, 0)));
    assert_fault(&r, "is there twice");
}

static void an_unknown_outcome_may_not_be_there_at_all(void **state)
{
    (void)state;
    struct run r;
    struct planned_draft d;
    begin(&r);
    r.values[0] = OUTCOME_UNKNOWN;
    plan_draft(&r.proof.plan, 0, &d);
    assert_true(take(&r, foreign_event(MARK_SEQ + 1)));
    take_rest(&r, 1);
    assert_true(nothing_is_missing(&r));
    assert_true(r.unmet[0] == d.minor);
}

static void a_key_that_was_never_sent_is_told(void **state)
{
    (void)state;
    struct run r;
    begin(&r);
    assert_false(take(&r, event_of(&r, MARK_SEQ + 1, SENT)));
    assert_fault(&r, "was never sent");
}

static void a_gap_in_seq_is_told(void **state)
{
    (void)state;
    struct run r;
    begin(&r);
    assert_false(take(&r, event_of(&r, MARK_SEQ + 2, 1)));
    assert_fault(&r, "the next event has seq 5");
}

/* Each part of an event that a draft decides, changed by itself. */
static void postings_that_were_not_sent_are_told(void **state)
{
    (void)state;
    static const char *const changes[][2] = {
        {"\"minor\":", "\"minor\":1"}, {"\"path\":\"a", "\"path\":\"b"}, {"debit\"}", "credit\"}"}, {"USD", "EUR"}};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        struct run r;
        char text[1100];
        begin(&r);
        const char *sent = event_of(&r, MARK_SEQ + 1, 0), *at = strstr(sent, changes[i][0]);
        assert_non_null(at);
        snprintf(text, sizeof text, "%.*s%s%s", (int)(at - sent), sent, changes[i][1], at + strlen(changes[i][0]));
        assert_false(take(&r, text));
        assert_fault(&r, "other postings");
    }
}

static void an_event_that_is_cut_is_told(void **state)
{
    (void)state;
    struct run r;
    begin(&r);
    const char *text = event_of(&r, MARK_SEQ + 1, 0);
    assert_false(proof_take_text(&r.proof, &r.book, text, strlen(text) - 1));
    assert_fault(&r, "is not JSON");
}

static void another_event_in_the_marks_place_is_told(void **state)
{
    (void)state;
    struct run r;
    begin(&r);
    for (uint64_t i = 0; i < SENT; i++)
        assert_true(take(&r, event_of(&r, MARK_SEQ + 1 + i, i)));
    assert_false(take(&r, foreign_event(END_SEQ)));
    assert_fault(&r, "not the mark");
}

static void sums_must_have_grown_by_what_the_events_say(void **state)
{
    (void)state;
    struct run r;
    begin(&r);
    take_rest(&r, 0);
    struct trial_balance before = {500, 500}, after = {500 + r.book.own_minor, 500 + r.book.own_minor};
    assert_true(proof_sums_agree(&r.book, &before, &after, 0));
    after.debits++;
    assert_true(proof_sums_agree(&r.book, &before, &after, 1));
    assert_false(proof_sums_agree(&r.book, &before, &after, 0));
    assert_fault(&r, "the trial balance went from 500");
    after.debits -= 2;
    assert_false(proof_sums_agree(&r.book, &before, &after, 5));
    r.book.foreign = 1;
    assert_false(proof_sums_agree(&r.book, &before, &after, 0));
    after.debits += 1000;
    assert_true(proof_sums_agree(&r.book, &before, &after, 0));
}

static void a_trial_balance_that_does_not_balance_is_told(void **state)
{
    (void)state;
    struct trial_balance read;
    char fault[FAULT_MAX];
    assert_true(trial_balance_read("{\"lines\":[{\"asset\":\"BTC\",\"debits\":1,\"credits\":1},{\"asset\":\"USD\","
                                   "\"debits\":18446744073709551617,\"credits\":18446744073709551617}]}",
                                   &read, fault));
    assert_true(read.debits == (sum_t)UINT64_MAX + 2);
    assert_true(trial_balance_read("{\"lines\":[]}", &read, fault) && read.debits == 0);
    assert_false(trial_balance_read("{\"lines\":[{\"asset\":\"BTC\",\"debits\":1,\"credits\":2}]}", &read, fault));
    assert_non_null(strstr(fault, "BTC"));
    assert_false(trial_balance_read("{\"error\":\"internal\"}", &read, fault));
}

/* Drafts are spread over the accounts, never on one with itself, and a key names its draft alone. */
static void the_plan_is_the_same_each_time_and_its_keys_are_read_back(void **state)
{
    (void)state;
    struct plan plan = {.run = 7, .books = 3, .accounts = 3}, other = {.run = 8, .books = 3, .accounts = 3};
    bool met[3][3] = {{false}};
    for (uint64_t i = 0; i < 1000; i++) {
        struct planned_draft d, again;
        char key[PLAN_KEY_LEN];
        uint64_t id = plan_first_id(15) + i, read;
        plan_draft(&plan, id, &d);
        plan_draft(&plan, id, &again);
        assert_memory_equal(&d, &again, sizeof d);
        assert_true(d.debit != d.credit && d.debit < 3 && d.credit < 3 && d.book == i % 3);
        assert_in_range(d.minor, 100, 999);
        met[d.debit][d.credit] = true;
        plan_write_key(key, &plan, id);
        assert_true(plan_read_key(&plan, key, sizeof key, &read) && read == id && plan_thread_of(read) == 15);
        assert_false(plan_read_key(&other, key, sizeof key, &read));
        assert_false(plan_read_key(&plan, key, sizeof key - 1, &read));
    }
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            assert_true(met[i][j] == (i != j));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_acknowledged_and_is_there_once_is_right),
        cmocka_unit_test(an_acknowledged_key_that_is_not_there_is_told),
        cmocka_unit_test(a_key_that_is_there_twice_is_told),
        cmocka_unit_test(a_key_under_another_seq_than_was_acknowledged_is_told),
        cmocka_unit_test(a_refused_key_that_is_there_is_told),
        cmocka_unit_test(an_unknown_outcome_may_be_there_once),
        cmocka_unit_test(an_unknown_outcome_may_not_be_there_at_all),
        cmocka_unit_test(a_key_that_was_never_sent_is_told),
        cmocka_unit_test(a_gap_in_seq_is_told),
        cmocka_unit_test(postings_that_were_not_sent_are_told),
        cmocka_unit_test(an_event_that_is_cut_is_told),
        cmocka_unit_test(another_event_in_the_marks_place_is_told),
        cmocka_unit_test(sums_must_have_grown_by_what_the_events_say),
        cmocka_unit_test(a_trial_balance_that_does_not_balance_is_told),
        cmocka_unit_test(the_plan_is_the_same_each_time_and_its_keys_are_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
