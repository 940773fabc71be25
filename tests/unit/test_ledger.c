/* The ledger's rules, each at its bounds. */
#include "common/ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MAX INT64_MAX

static struct posting debit(const char *account, int64_t minor, const char *asset)
{
    return (struct posting){bytes_of_string(account), bytes_of_string(asset), minor, DIRECTION_DEBIT};
}

static struct posting credit(const char *account, int64_t minor, const char *asset)
{
    return (struct posting){bytes_of_string(account), bytes_of_string(asset), minor, DIRECTION_CREDIT};
}

static struct draft draft_of(const struct posting *postings, uint32_t count)
{
    return (struct draft){
        .book = BYTES_LITERAL("shop"),
        .idempotency_key = BYTES_LITERAL("k"),
        .postings = postings,
        .posting_count = count,
    };
}

static struct verdict check(const struct draft *draft)
{
    struct verdict verdict;
    struct arena *arena = arena_create();
    ledger_check_draft(draft, arena, &verdict);
    arena_destroy(&arena);
    return verdict;
}

#define CHECK(...) check_postings((struct posting[]){__VA_ARGS__}, sizeof(struct posting[]){__VA_ARGS__} / sizeof(struct posting))

static struct verdict check_postings(const struct posting *postings, size_t count)
{
    struct draft draft = draft_of(postings, (uint32_t)count);
    return check(&draft);
}

/* --- form --- */

static void a_balanced_draft_passes(void **state)
{
    (void)state;
    assert_int_equal(CHECK(debit("a", 5, "USD"), credit("b", 5, "USD")).code, VERDICT_POSTED);
    assert_int_equal(CHECK(debit("a", 5, "USD"), credit("b", 2, "USD"), credit("b", 3, "USD")).code, VERDICT_POSTED);
    assert_int_equal(CHECK(debit("a", 5, "USD"), credit("b", 7, "BTC"), credit("b", 5, "USD"), debit("a", 7, "BTC")).code,
                     VERDICT_POSTED);
}

static void each_asset_balances_by_itself(void **state)
{
    (void)state;
    struct verdict v = CHECK(debit("a", 5, "USD"), credit("b", 5, "USD"), debit("a", 5, "EUR"), credit("b", 5, "BTC"));
    assert_int_equal(v.code, VERDICT_UNBALANCED);
    assert_int_equal(v.posting, 2); /* the first asset that does not, in the draft's order */
    assert_int_equal(v.a, 5);
    assert_int_equal(v.b, 0);
}

static void one_posting_alone_is_unbalanced(void **state)
{
    (void)state;
    struct verdict v = CHECK(credit("a", 5, "USD"));
    assert_int_equal(v.code, VERDICT_UNBALANCED);
    assert_int_equal(v.a, 0);
    assert_int_equal(v.b, 5);
}

static void amounts_are_positive(void **state)
{
    (void)state;
    static const int64_t wrong[] = {0, -1, INT64_MIN};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct verdict v = CHECK(debit("a", 5, "USD"), credit("b", wrong[i], "USD"));
        assert_int_equal(v.code, VERDICT_INVALID_AMOUNT);
        assert_int_equal(v.posting, 1);
        assert_int_equal(v.a, wrong[i]);
    }
}

static void sums_are_checked_for_overflow(void **state)
{
    (void)state;
    assert_int_equal(CHECK(debit("a", MAX, "USD"), credit("b", MAX, "USD")).code, VERDICT_POSTED);
    struct verdict v = CHECK(debit("a", MAX, "USD"), credit("b", MAX, "USD"), debit("a", 1, "USD"), credit("b", 1, "USD"));
    assert_int_equal(v.code, VERDICT_INVALID_AMOUNT);
    assert_int_equal(v.posting, 2);
    /* Another asset has a sum of its own. */
    assert_int_equal(CHECK(debit("a", MAX, "USD"), credit("b", MAX, "USD"), debit("a", 1, "EUR"), credit("b", 1, "EUR")).code,
                     VERDICT_POSTED);
}

static void names_must_not_be_empty(void **state)
{
    (void)state;
    struct posting postings[] = {debit("a", 5, "USD"), credit("", 5, "USD")};
    struct draft draft = draft_of(postings, 2);
    assert_int_equal(check(&draft).reason, INVALID_POSTING_ACCOUNT_EMPTY);
    draft.posting_count = 0;
    assert_int_equal(check(&draft).reason, INVALID_POSTINGS_EMPTY);
    draft.idempotency_key = bytes_of(NULL, 0);
    assert_int_equal(check(&draft).reason, INVALID_KEY_EMPTY);
    draft.book = BYTES_LITERAL("_system");
    assert_int_equal(check(&draft).reason, INVALID_BOOK_RESERVED);
    draft.book = bytes_of(NULL, 0);
    assert_int_equal(check(&draft).reason, INVALID_BOOK_EMPTY);
    assert_int_equal(check(&draft).code, VERDICT_INVALID_DRAFT);
}

static void a_long_book_name_bounds_the_postings(void **state)
{
    (void)state;
    enum { COUNT = 1024 };
    static struct posting postings[COUNT];
    static uint8_t name[LEDGER_BOOK_REPEATED_MAX / COUNT + 1];
    for (int i = 0; i < COUNT; i++)
        postings[i] = i % 2 ? debit("a", 1, "USD") : credit("a", 1, "USD");
    memset(name, 'b', sizeof name);
    struct draft draft = draft_of(postings, COUNT);
    draft.book = bytes_of(name, sizeof name - 1);
    assert_int_equal(check(&draft).code, VERDICT_POSTED);
    draft.book.len++;
    assert_int_equal(check(&draft).reason, INVALID_POSTINGS_TOO_MANY);
    draft.posting_count = 2; /* what is long alone is no matter */
    assert_int_equal(check(&draft).code, VERDICT_POSTED);
}

#define ASSETS_MAX 3000

static void assets_of_one_draft_are_told_apart(void **state)
{
    (void)state;
    static char names[ASSETS_MAX][24];
    static struct posting postings[2 * ASSETS_MAX];
    static const int counts[] = {2, 4, 5, ASSETS_MAX}; /* below and above the number from which there is a table */
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        int n = counts[c], wrong = n / 2 - 1;
        for (int i = 0; i < n; i++) {
            snprintf(names[i], sizeof names[i], "asset-%d", i);
            postings[i] = debit("a", i + 1, names[i]);
            postings[2 * n - 1 - i] = credit("b", i + 1, names[i]);
        }
        struct draft draft = draft_of(postings, (uint32_t)(2 * n));
        assert_int_equal(check(&draft).code, VERDICT_POSTED);
        postings[2 * n - 1 - wrong].minor++;
        struct verdict v = check(&draft);
        assert_int_equal(v.code, VERDICT_UNBALANCED);
        assert_int_equal(v.posting, wrong);
    }
}

static void an_asset_class_says_what_networks_it_has(void **state)
{
    (void)state;
    struct asset_definition asset = {.id = BYTES_LITERAL("USD"), .class = ASSET_CLASS_FIAT};
    struct verdict v;
    ledger_check_asset(&asset, &v);
    assert_int_equal(v.code, VERDICT_DONE);
    asset.has_network = true;
    ledger_check_asset(&asset, &v);
    assert_int_equal(v.reason, INVALID_ASSET_FIAT_NETWORK);
    asset.class = ASSET_CLASS_CRYPTO;
    ledger_check_asset(&asset, &v);
    assert_int_equal(v.code, VERDICT_DONE);
    asset.has_network = false;
    ledger_check_asset(&asset, &v);
    assert_int_equal(v.reason, INVALID_ASSET_CRYPTO_NETWORK);
    asset.id.len = 0;
    ledger_check_asset(&asset, &v);
    assert_int_equal(v.reason, INVALID_ASSET_ID_EMPTY);
}

static void an_account_has_a_book_of_the_clients_and_a_path(void **state)
{
    (void)state;
    struct account_definition account = {.book = BYTES_LITERAL("b"), .path = BYTES_LITERAL("p")};
    struct verdict v;
    ledger_check_account(&account, &v);
    assert_int_equal(v.code, VERDICT_DONE);
    account.path.len = 0;
    ledger_check_account(&account, &v);
    assert_int_equal(v.reason, INVALID_PATH_EMPTY);
    account.book = BYTES_LITERAL("_b");
    ledger_check_account(&account, &v);
    assert_int_equal(v.reason, INVALID_BOOK_RESERVED);
}

/* --- place --- */

#define ACCOUNTS 3
static struct ledger_account accounts[ACCOUNTS]; /* "0", "1", "2" */

static struct ledger_account *find(void *context, struct bytes book, struct bytes path)
{
    (void)context, (void)book;
    int n = path.len == 1 ? path.base[0] - '0' : -1;
    return n >= 0 && n < ACCOUNTS ? &accounts[n] : NULL;
}

static int fresh_accounts(void **state)
{
    (void)state;
    memset(accounts, 0, sizeof accounts);
    for (uint32_t i = 0; i < ACCOUNTS; i++) {
        accounts[i].asset = BYTES_LITERAL("USD");
        accounts[i].asset_no = 100 + i;
    }
    return 0;
}

#define JUDGE(...) judge((struct posting[]){__VA_ARGS__}, sizeof(struct posting[]){__VA_ARGS__} / sizeof(struct posting))

/* Judges, and applies what was posted as the arbiter does. */
static struct verdict judge(const struct posting *postings, size_t count)
{
    static const struct ledger_view view = {.find = find};
    struct ledger_account *found[16];
    struct draft draft = draft_of(postings, (uint32_t)count);
    struct verdict verdict;
    ledger_judge(&draft, &view, found, &verdict);
    for (int i = 0; i < ACCOUNTS; i++)
        assert_false(accounts[i].touched);
    for (size_t i = 0; verdict.code == VERDICT_POSTED && i < count; i++) {
        found[i]->debits = found[i]->next_debits;
        found[i]->credits = found[i]->next_credits;
    }
    return verdict;
}

static void a_posting_needs_its_account(void **state)
{
    (void)state;
    struct verdict v = JUDGE(debit("0", 5, "USD"), credit("7", 5, "USD"));
    assert_int_equal(v.code, VERDICT_UNKNOWN_ACCOUNT);
    assert_int_equal(v.posting, 1);
}

static void an_account_holds_one_asset(void **state)
{
    (void)state;
    struct verdict v = JUDGE(debit("0", 5, "USD"), credit("1", 5, "EUR"));
    assert_int_equal(v.code, VERDICT_ASSET_MISMATCH);
    assert_int_equal(v.posting, 1);
    assert_int_equal(v.asset_no, 101);
}

static void a_refusal_leaves_no_trace(void **state)
{
    (void)state;
    assert_int_equal(JUDGE(debit("0", 5, "USD"), credit("7", 5, "USD")).code, VERDICT_UNKNOWN_ACCOUNT);
    assert_int_equal(JUDGE(debit("0", 5, "USD"), credit("1", 5, "USD")).code, VERDICT_POSTED);
    assert_true(accounts[0].debits == 5 && accounts[1].credits == 5);
}

static void the_minimum_counts_after_the_whole_transaction(void **state)
{
    (void)state;
    accounts[0].normal_side = NORMAL_SIDE_DEBIT;
    accounts[0].has_min_balance = true;
    /* Below the minimum in between, above it in the end. */
    assert_int_equal(JUDGE(credit("0", 9, "USD"), debit("0", 10, "USD"), credit("1", 1, "USD")).code, VERDICT_POSTED);
    struct verdict v = JUDGE(debit("1", 2, "USD"), credit("0", 2, "USD"));
    assert_int_equal(v.code, VERDICT_CONSTRAINT);
    assert_int_equal(v.posting, 1);
    assert_int_equal(v.a, 0);
    assert_int_equal(v.b, -1);
    assert_int_equal(JUDGE(debit("1", 1, "USD"), credit("0", 1, "USD")).code, VERDICT_POSTED); /* exactly at it */
}

static void the_minimum_is_counted_on_the_normal_side(void **state)
{
    (void)state;
    accounts[0].normal_side = NORMAL_SIDE_CREDIT;
    accounts[0].has_min_balance = true;
    accounts[0].min_balance = -3;
    assert_int_equal(JUDGE(debit("0", 3, "USD"), credit("1", 3, "USD")).code, VERDICT_POSTED);
    struct verdict v = JUDGE(debit("0", 1, "USD"), credit("1", 1, "USD"));
    assert_int_equal(v.code, VERDICT_CONSTRAINT);
    assert_int_equal(v.a, -3);
    assert_int_equal(v.b, -4);
}

static void a_balance_never_leaves_the_64_bit_range(void **state)
{
    (void)state;
    assert_int_equal(JUDGE(debit("0", MAX, "USD"), credit("1", MAX, "USD")).code, VERDICT_POSTED);
    struct verdict v = JUDGE(debit("2", 1, "USD"), credit("2", 1, "USD"), debit("0", 1, "USD"), credit("1", 1, "USD"));
    assert_int_equal(v.code, VERDICT_INVALID_AMOUNT);
    assert_int_equal(v.posting, 2);
    assert_true(accounts[0].debits == (u128)MAX);
    /* -2^63 is in the range, one less is not. */
    assert_int_equal(JUDGE(debit("2", 1, "USD"), credit("1", 1, "USD")).code, VERDICT_POSTED);
    assert_int_equal(JUDGE(debit("2", 1, "USD"), credit("1", 1, "USD")).code, VERDICT_INVALID_AMOUNT);
}

static void sums_may_pass_64_bits_while_the_balance_does_not(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(JUDGE(debit("0", MAX, "USD"), credit("1", MAX, "USD")).code, VERDICT_POSTED);
        assert_int_equal(JUDGE(debit("1", MAX, "USD"), credit("0", MAX, "USD")).code, VERDICT_POSTED);
    }
    assert_true(accounts[0].debits == (u128)MAX * 4);
    assert_true(ledger_balance(NORMAL_SIDE_NONE, accounts[0].debits, accounts[0].credits) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_balanced_draft_passes),
        cmocka_unit_test(each_asset_balances_by_itself),
        cmocka_unit_test(one_posting_alone_is_unbalanced),
        cmocka_unit_test(amounts_are_positive),
        cmocka_unit_test(sums_are_checked_for_overflow),
        cmocka_unit_test(names_must_not_be_empty),
        cmocka_unit_test(a_long_book_name_bounds_the_postings),
        cmocka_unit_test(assets_of_one_draft_are_told_apart),
        cmocka_unit_test(an_asset_class_says_what_networks_it_has),
        cmocka_unit_test(an_account_has_a_book_of_the_clients_and_a_path),
        cmocka_unit_test_setup(a_posting_needs_its_account, fresh_accounts),
        cmocka_unit_test_setup(an_account_holds_one_asset, fresh_accounts),
        cmocka_unit_test_setup(a_refusal_leaves_no_trace, fresh_accounts),
        cmocka_unit_test_setup(the_minimum_counts_after_the_whole_transaction, fresh_accounts),
        cmocka_unit_test_setup(the_minimum_is_counted_on_the_normal_side, fresh_accounts),
        cmocka_unit_test_setup(a_balance_never_leaves_the_64_bit_range, fresh_accounts),
        cmocka_unit_test_setup(sums_may_pass_64_bits_while_the_balance_does_not, fresh_accounts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
