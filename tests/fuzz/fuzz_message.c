/*
 * What crosses between worker and arbiter. The first octet says which of three:
 *   0  a submission, as the arbiter takes it apart: queue, draft, rules
 *   1  a completion, as a worker takes it apart and words it
 *   2  a ring's counters and bytes, as a consumer finds them
 *
 * What is taken apart packs to the same again; a draft that the rules pass is balanced and moves its accounts by just
 * its postings, within 64 bits; a verdict's numbers lead nowhere beside the draft; a ring hands out no more than it
 * holds.
 */
#include <errno.h>
#include <stdlib.h>

#include <unistr.h>

#include "arbiter/write_queue.h"
#include "common/border.h"
#include "common/ledger.h"
#include "server/answers.h"
#include "server/submissions.h"
#include "tests/fuzz/fuzz.h"

static struct arena *arena;

/* --- 0: a submission --- */

struct account {
    const char *path;
    struct ledger_account row;
};

static struct account accounts[4];

static void reset_accounts(void)
{
    static const struct account fresh[] = {
        {"a", {.asset = BYTES_LITERAL("USD"), .asset_no = 1, .normal_side = NORMAL_SIDE_DEBIT,
               .has_min_balance = true}},
        {"b", {.asset = BYTES_LITERAL("USD"), .asset_no = 1, .normal_side = NORMAL_SIDE_CREDIT}},
        {"c", {.asset = BYTES_LITERAL("USD"), .asset_no = 1, .debits = (u128)INT64_MAX - 5}},
        {"d", {.asset = BYTES_LITERAL("EUR"), .asset_no = 2, .credits = (u128)INT64_MAX + 1, .has_min_balance = true,
               .min_balance = INT64_MIN}},
    };
    _Static_assert(sizeof fresh == sizeof accounts, "one for each");
    memcpy(accounts, fresh, sizeof accounts);
}

static struct ledger_account *find_account(void *context, struct bytes book, struct bytes path)
{
    (void)context, (void)book;
    for (size_t i = 0; i < sizeof accounts / sizeof *accounts; i++)
        if (bytes_equal(path, bytes_of_string(accounts[i].path)))
            return &accounts[i].row;
    return NULL;
}

/* What the account gains by the draft on one side. */
static u128 moved(const struct draft *draft, const struct account *account, enum direction direction)
{
    u128 sum = 0;
    for (uint32_t i = 0; i < draft->posting_count; i++)
        if (draft->postings[i].direction == direction &&
            bytes_equal(draft->postings[i].account, bytes_of_string(account->path)))
            sum += (u128)draft->postings[i].minor;
    return sum;
}

static void check_posted(const struct draft *draft)
{
    u128 debits = 0, credits = 0;
    for (size_t i = 0; i < sizeof accounts / sizeof *accounts; i++) {
        struct ledger_account *row = &accounts[i].row;
        u128 debit = moved(draft, &accounts[i], DIRECTION_DEBIT), credit = moved(draft, &accounts[i], DIRECTION_CREDIT);
        debits += debit;
        credits += credit;
        if (debit == 0 && credit == 0)
            continue;
        FUZZ_HOLDS(row->next_debits == row->debits + debit && row->next_credits == row->credits + credit);
        i128 balance = ledger_balance(row->normal_side, row->next_debits, row->next_credits);
        FUZZ_HOLDS(balance >= INT64_MIN && balance <= INT64_MAX);
        FUZZ_HOLDS(!row->has_min_balance || balance >= row->min_balance);
        row->debits = row->next_debits;
        row->credits = row->next_credits;
    }
    FUZZ_HOLDS(debits == credits && debits > 0);
}

static void judge(const struct draft *draft)
{
    static const struct ledger_view view = {.find = find_account};
    struct verdict verdict;
    ledger_check_draft(draft, arena, &verdict);
    FUZZ_HOLDS(verdict.posting < draft->posting_count || verdict.posting == 0);
    if (verdict.code != VERDICT_POSTED)
        return;
    for (uint32_t i = 0; i < draft->posting_count; i++)
        FUZZ_HOLDS(draft->postings[i].minor > 0 && draft->postings[i].account.len > 0);
    struct ledger_account **rows = arena_alloc(arena, draft->posting_count * sizeof *rows);
    ledger_judge(draft, &view, rows, &verdict);
    FUZZ_HOLDS(verdict.posting < draft->posting_count);
    for (size_t i = 0; i < sizeof accounts / sizeof *accounts; i++)
        FUZZ_HOLDS(!accounts[i].row.touched);
    if (verdict.code == VERDICT_POSTED)
        check_posted(draft);
}

static void check_draft(const struct queued_draft *queued)
{
    struct draft draft, again;
    struct buffer packed = {0}, packed_again = {0};
    int error = draft_unpack_body(queued->packed, arena, &draft);
    FUZZ_HOLDS(error == 0 || error == EBADMSG);
    if (error)
        return;
    FUZZ_HOLDS(draft_packed_posting_count(queued->packed) == draft.posting_count);
    draft.book = queued->book;
    draft_pack_body(&packed, &draft);
    FUZZ_HOLDS(draft_unpack_body(buffer_bytes(&packed), arena, &again) == 0);
    draft_pack_body(&packed_again, &again);
    FUZZ_HOLDS(bytes_equal(buffer_bytes(&packed), buffer_bytes(&packed_again)));
    judge(&draft);
    buffer_free(&packed);
    buffer_free(&packed_again);
}

static void check_asset(struct bytes packed)
{
    struct asset_definition asset, again;
    struct buffer made = {0};
    struct verdict verdict;
    if (asset_definition_unpack(packed, &asset) != 0)
        return;
    ledger_check_asset(&asset, &verdict);
    asset_definition_pack(&made, &asset);
    FUZZ_HOLDS(asset_definition_unpack(buffer_bytes(&made), &again) == 0);
    FUZZ_HOLDS(again.class == asset.class && again.precision == asset.precision && bytes_equal(again.id, asset.id));
    buffer_free(&made);
}

static void check_account(struct bytes book, struct bytes packed)
{
    struct account_definition account, again;
    struct buffer made = {0};
    struct verdict verdict;
    if (account_definition_unpack(packed, &account) != 0)
        return;
    account.book = book;
    ledger_check_account(&account, &verdict);
    account_definition_pack(&made, &account);
    FUZZ_HOLDS(account_definition_unpack(buffer_bytes(&made), &again) == 0);
    FUZZ_HOLDS(again.kind == account.kind && again.min_balance == account.min_balance);
    FUZZ_HOLDS(bytes_equal(again.path, account.path) && bytes_equal(again.asset, account.asset));
    buffer_free(&made);
}

static void check_queued(const struct queued_draft *queued)
{
    const struct submission *s = queued->submission;
    FUZZ_HOLDS(queued->index < s->count);
    FUZZ_HOLDS(queued->packed.base >= s->message.base &&
               queued->packed.base + queued->packed.len <= s->message.base + s->message.len);
    switch (s->kind) {
    case SUBMISSION_POST:
        check_draft(queued);
        break;
    case SUBMISSION_ASSET:
        check_asset(queued->packed);
        break;
    case SUBMISSION_ACCOUNT:
        check_account(queued->book, queued->packed);
        break;
    }
}

static void run_submission(struct bytes input)
{
    struct buffer message = {0};
    struct submission *submission = NULL;
    struct write_queue *queue = write_queue_create(3);
    buffer_append(&message, input.base, input.len);
    reset_accounts();
    int error = write_queue_add(queue, 0, 1, &message, &submission);
    FUZZ_HOLDS(error == 0 || error == EBADMSG);
    FUZZ_HOLDS(!message.base && (submission != NULL) == (error == 0));
    struct draft_list group = {0};
    uint32_t taken = 0;
    while (write_queue_count(queue) > 0) {
        write_queue_take(queue, 2, 1000, &group);
        FUZZ_HOLDS(group.count > 0);
        for (uint32_t i = 0; i < group.count; i++)
            check_queued(&group.drafts[i]);
        taken += group.count;
    }
    free(group.drafts);
    FUZZ_HOLDS(error ? taken == 0 : taken == submission->undecided && taken == submission->count);
    if (submission)
        submission_free(submission);
    write_queue_destroy(&queue);
}

/* --- 1: a completion --- */

static const struct posting two_postings[] = {
    {BYTES_LITERAL("a"), BYTES_LITERAL("USD"), 5, DIRECTION_DEBIT},
    {BYTES_LITERAL("b"), BYTES_LITERAL("USD"), 5, DIRECTION_CREDIT},
};
static const struct draft example = {
    .book = BYTES_LITERAL("shop"), .idempotency_key = BYTES_LITERAL("k"), .postings = two_postings, .posting_count = 2};

#define DRAFTS_MAX 4

struct expected {
    uint32_t count;
    unsigned calls;
};

static void word(const struct verdict *verdict)
{
    static const struct asset_definition asset = {.id = BYTES_LITERAL("USD"), .class = ASSET_CLASS_FIAT};
    static const struct account_definition account = {.book = BYTES_LITERAL("shop"), .path = BYTES_LITERAL("a")};
    struct buffer text = {0};
    struct json_text *j = json_text_create(&text);
    int status = answer_post(j, verdict, &example, asset.id);
    FUZZ_HOLDS(status >= 200 && status <= 503 && text.len > 0 && !u8_check(text.base, text.len));
    json_text_restart(j, &text);
    status = answer_asset(j, verdict, &asset);
    FUZZ_HOLDS(status >= 200 && status <= 503);
    json_text_restart(j, &text);
    status = answer_account(j, verdict, &account);
    FUZZ_HOLDS(status >= 200 && status <= 503);
    json_text_destroy(&j);
    buffer_free(&text);
}

static void done(void *context, enum submission_end end, const struct verdict *verdicts)
{
    struct expected *expected = context;
    expected->calls++;
    FUZZ_HOLDS(end == SUBMISSION_DECIDED && verdicts);
    for (uint32_t i = 0; i < expected->count; i++)
        word(&verdicts[i]);
}

/* One worker's slot of a border, with an arbiter that is ready and has reset the rings. */
static struct border *make_border(void)
{
    static struct border *border;
    if (!border)
        FUZZ_HOLDS(border_create(&border) == 0);
    struct worker_slot *slot = &border->worker[0];
    ring_reset(&slot->submissions);
    ring_reset(&slot->completions);
    atomic_store(&slot->ring_generation, 1);
    atomic_store(&border->arbiter_state, ARBITER_READY);
    atomic_store(&border->arbiter_epoch, 1);
    return border;
}

/* The arbiter's end: takes the submission, answers with `completion`. */
static void answer(struct border *border, struct bytes sent, struct bytes completion)
{
    struct ring in, out;
    struct buffer taken = {0};
    struct worker_slot *slot = &border->worker[0];
    ring_attach_consumer(&in, &slot->submissions, border_submission_bytes(border, 0), SUBMISSION_RING_BYTES);
    ring_attach_producer(&out, &slot->completions, border_completion_bytes(border, 0), COMPLETION_RING_BYTES);
    FUZZ_HOLDS(ring_take(&in, &taken) == 0 && bytes_equal(buffer_bytes(&taken), sent));
    FUZZ_HOLDS(ring_take(&in, &taken) == EAGAIN);
    FUZZ_HOLDS(ring_put(&out, completion.base, completion.len) == 0);
    FUZZ_HOLDS(ring_put(&out, completion.base, completion.len) == 0); /* a second one answers nothing */
    buffer_free(&taken);
}

static void run_completion(struct bytes input)
{
    struct border *border = make_border();
    struct submissions *submissions = submissions_create(border, 0, 1);
    if (input.len > 0) {
        struct expected expected = {.count = 1 + input.base[0] % DRAFTS_MAX};
        struct buffer *message = submissions_begin(submissions, SUBMISSION_POST, expected.count);
        for (uint32_t i = 0; i < expected.count; i++)
            submission_add_draft(message, &example);
        struct waiting *waiting = submissions_send(submissions, UINT64_MAX, done, &expected);
        FUZZ_HOLDS(waiting);
        answer(border, buffer_bytes(message), bytes_of(input.base + 1, input.len - 1));
        FUZZ_HOLDS(submissions_receive(submissions) && expected.calls <= 1);
    }
    submissions_destroy(&submissions);
}

/* --- 2: a ring --- */

#define RING_BYTES 256

/* Counters, then the ring's bytes. */
static void run_ring(struct bytes input)
{
    struct ring_control control;
    struct ring ring;
    struct buffer out = {0};
    uint64_t counters[2] = {0}, taken = 0;
    uint8_t *bytes = calloc(1, RING_BYTES);
    FUZZ_HOLDS(bytes);
    memcpy(counters, input.base, input.len < sizeof counters ? input.len : sizeof counters);
    if (input.len > sizeof counters)
        memcpy(bytes, input.base + sizeof counters,
               input.len - sizeof counters < RING_BYTES ? input.len - sizeof counters : RING_BYTES);
    atomic_init(&control.head, counters[0]);
    atomic_init(&control.tail, counters[0] + counters[1]);
    ring_attach_consumer(&ring, &control, bytes, RING_BYTES);
    int error;
    do {
        buffer_clear(&out);
        error = ring_take(&ring, &out);
        taken += error ? 0 : RING_RECORD_OVERHEAD + out.len;
        FUZZ_HOLDS(out.len <= ring_payload_max(RING_BYTES) && taken <= RING_BYTES);
    } while (error == 0);
    FUZZ_HOLDS(error == EAGAIN || (error == EBADMSG && ring_take(&ring, &out) == EBADMSG));
    FUZZ_HOLDS(error != EAGAIN || atomic_load(&control.head) == atomic_load(&control.tail));
    buffer_free(&out);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const runs[])(struct bytes input) = {run_submission, run_completion, run_ring};
    if (size == 0)
        return 0;
    fuzz_silence_report();
    arena = arena_create();
    uint8_t *copy = fuzz_copy(bytes_of(data + 1, size - 1));
    runs[data[0] % 3](bytes_of(copy, size - 1));
    free(copy);
    arena_destroy(&arena);
    return 0;
}
