#include "server/post_routes.h"

/*
 * A post's drafts are kept (in the request's arena, with slices of its body)
 * until the verdicts come: they hold the names that the answer is worded with.
 */
#include <string.h>
#include <strings.h>

#include "common/ledger.h"
#include "server/answers.h"
#include "server/draft_json.h"
#include "server/request_log.h"
#include "server/submissions.h"
#include "server/worker.h"

/* A post under way. */
struct post {
    struct exchange *exchange;
    struct waiting *waiting; /* NULL once it was called back */
    struct asset_definition asset;
    struct account_definition account;
    struct draft *drafts;
    uint32_t count;
    /* Of a batch: what each slot comes to. POSTED before the arbiter has answered: sent, its verdict comes later. */
    struct verdict *verdicts;
    bool *forbidden;
};

/* --- the body --- */

static struct bytes trim(struct bytes s)
{
    while (s.len > 0 && (s.base[0] == ' ' || s.base[0] == '\t'))
        s = bytes_of(s.base + 1, s.len - 1);
    while (s.len > 0 && (s.base[s.len - 1] == ' ' || s.base[s.len - 1] == '\t'))
        s.len--;
    return s;
}

static bool is_json_type(struct bytes value)
{
    static const char prefix[] = "application/";
    const size_t prefix_len = sizeof prefix - 1;
    const uint8_t *semicolon = value.len ? memchr(value.base, ';', value.len) : NULL;
    struct bytes type = trim(semicolon ? bytes_of(value.base, (size_t)(semicolon - value.base)) : value);
    if (type.len <= prefix_len || strncasecmp((const char *)type.base, prefix, prefix_len) != 0)
        return false;
    const char *subtype = (const char *)type.base + prefix_len;
    size_t length = type.len - prefix_len;
    return (length == 4 && strncasecmp(subtype, "json", 4) == 0) ||
           (length > 5 && strncasecmp(subtype + length - 5, "+json", 5) == 0);
}

/* False when the answer is given already. */
static bool check_body(struct exchange *e)
{
    if (!is_json_type(http_header(e->http, "content-type"))) {
        exchange_answer(e, answer_content_type(exchange_json(e)));
        return false;
    }
    return true;
}

static void refuse_body(struct exchange *e, const struct body_error *error)
{
    exchange_answer(e, answer_invalid(exchange_json(e), error->field, error->reason));
}

static struct post *new_post(struct exchange *e)
{
    struct post *post = arena_alloc(http_arena(e->http), sizeof *post);
    *post = (struct post){.exchange = e};
    return post;
}

/* --- waiting --- */

static void on_client_gone(void *context)
{
    struct post *post = context;
    if (post->waiting)
        submissions_forget(post->waiting);
    exchange_leave_flight(post->exchange);
}

/* The outcome is not known, or there is none: the same key tells. */
static void answer_without_verdict(struct post *post, enum submission_end end)
{
    struct exchange *e = post->exchange;
    struct json_text *j = exchange_json(e);
    exchange_answer(e, end == SUBMISSION_TIMED_OUT ? answer_timeout(j) : answer_overloaded(j, 503));
}

static void send_post(struct post *post, submission_done_fn *done)
{
    struct exchange *e = post->exchange;
    http_on_closed(e->http, on_client_gone, post);
    post->waiting = submissions_send(e->worker->submissions, http_deadline_ns(e->http), done, post);
    if (!post->waiting)
        exchange_answer(e, answer_overloaded(exchange_json(e), 503));
}

/* --- assets and accounts --- */

static void asset_done(void *context, enum submission_end end, const struct verdict *verdicts)
{
    struct post *post = context;
    post->waiting = NULL;
    if (end == SUBMISSION_DECIDED)
        exchange_answer(post->exchange, answer_asset(exchange_json(post->exchange), verdicts, &post->asset));
    else
        answer_without_verdict(post, end);
}

void handle_post_asset(struct exchange *e)
{
    struct body_error error;
    struct verdict verdict;
    if (!check_body(e))
        return;
    struct post *post = new_post(e);
    if (asset_json_read(http_body(e->http), http_arena(e->http), &post->asset, &error) != 0) {
        refuse_body(e, &error);
        return;
    }
    if (!scope_may_write_all(e->scope)) {
        exchange_answer(e, answer_forbidden(exchange_json(e), BYTES_LITERAL("*")));
        return;
    }
    ledger_check_asset(&post->asset, &verdict);
    if (verdict.code != VERDICT_DONE) {
        exchange_answer(e, answer_asset(exchange_json(e), &verdict, &post->asset));
        return;
    }
    submission_add_asset(submissions_begin(e->worker->submissions, SUBMISSION_ASSET, 1), &post->asset);
    send_post(post, asset_done);
}

static void account_done(void *context, enum submission_end end, const struct verdict *verdicts)
{
    struct post *post = context;
    post->waiting = NULL;
    if (end == SUBMISSION_DECIDED)
        exchange_answer(post->exchange, answer_account(exchange_json(post->exchange), verdicts, &post->account));
    else
        answer_without_verdict(post, end);
}

void handle_post_account(struct exchange *e)
{
    struct body_error error;
    struct verdict verdict;
    if (!check_body(e))
        return;
    struct post *post = new_post(e);
    if (account_json_read(http_body(e->http), http_arena(e->http), &post->account, &error) != 0) {
        refuse_body(e, &error);
        return;
    }
    e->book = post->account.book;
    if (!scope_may_write(e->scope, post->account.book)) {
        exchange_answer(e, answer_forbidden(exchange_json(e), post->account.book));
        return;
    }
    ledger_check_account(&post->account, &verdict);
    if (verdict.code != VERDICT_DONE) {
        exchange_answer(e, answer_account(exchange_json(e), &verdict, &post->account));
        return;
    }
    submission_add_account(submissions_begin(e->worker->submissions, SUBMISSION_ACCOUNT, 1), &post->account);
    send_post(post, account_done);
}

/* --- transactions --- */

/* Words one draft's verdict; the asset of a mismatch is the index's to name. */
static int word_verdict(struct exchange *e, struct json_text *j, const struct draft *draft,
                        const struct verdict *verdict)
{
    struct asset_definition asset = {.id = BYTES_LITERAL("")};
    if (verdict->code != VERDICT_ASSET_MISMATCH)
        return answer_post(j, verdict, draft, asset.id);
    struct worker *w = e->worker;
    int status = 0, error = worker_begin_reading(w);
    if (error == 0) {
        error = index_asset(w->index, verdict->asset_no, &asset);
        if (error == 0)
            status = answer_post(j, verdict, draft, asset.id);
        index_reader_end(w->index);
    }
    if (error == 0)
        return status;
    request_log_error(e, "cannot read the index for asset number %u: %s", verdict->asset_no, strerror(error));
    return answer_internal(j, "the index cannot be read");
}

static void transaction_done(void *context, enum submission_end end, const struct verdict *verdicts)
{
    struct post *post = context;
    post->waiting = NULL;
    if (end != SUBMISSION_DECIDED) {
        answer_without_verdict(post, end);
        return;
    }
    struct json_text *j = exchange_json(post->exchange);
    exchange_answer(post->exchange, word_verdict(post->exchange, j, post->drafts, verdicts));
}

void handle_post_transaction(struct exchange *e)
{
    struct body_error error;
    struct verdict verdict;
    struct arena *arena = http_arena(e->http);
    if (!check_body(e))
        return;
    struct post *post = new_post(e);
    post->drafts = arena_alloc(arena, sizeof *post->drafts);
    if (draft_json_read(http_body(e->http), arena, post->drafts, &error) != 0) {
        refuse_body(e, &error);
        return;
    }
    e->book = post->drafts->book;
    if (!scope_may_write(e->scope, post->drafts->book)) {
        exchange_answer(e, answer_forbidden(exchange_json(e), post->drafts->book));
        return;
    }
    ledger_check_draft(post->drafts, arena, &verdict);
    if (verdict.code != VERDICT_POSTED) {
        exchange_answer(e, word_verdict(e, exchange_json(e), post->drafts, &verdict));
        return;
    }
    submission_add_draft(submissions_begin(e->worker->submissions, SUBMISSION_POST, 1), post->drafts);
    send_post(post, transaction_done);
}

/* --- batches --- */

static void answer_batch(struct post *post)
{
    struct exchange *e = post->exchange;
    struct json_text *j = exchange_json(e);
    json_open_array(j);
    for (uint32_t i = 0; i < post->count; i++) {
        if (post->forbidden[i])
            answer_forbidden(j, post->drafts[i].book);
        else
            word_verdict(e, j, &post->drafts[i], &post->verdicts[i]);
    }
    json_close_array(j);
    exchange_answer(e, 200);
}

static void batch_done(void *context, enum submission_end end, const struct verdict *verdicts)
{
    struct post *post = context;
    post->waiting = NULL;
    if (end != SUBMISSION_DECIDED) {
        answer_without_verdict(post, end);
        return;
    }
    for (uint32_t i = 0; i < post->count; i++)
        if (post->verdicts[i].code == VERDICT_POSTED)
            post->verdicts[i] = *verdicts++;
    answer_batch(post);
}

/* Judges each slot as far as a worker can; returns how many are left for the arbiter. */
static uint32_t check_slots(struct post *post)
{
    struct arena *arena = http_arena(post->exchange->http);
    uint32_t left = 0;
    post->verdicts = arena_alloc(arena, post->count * sizeof *post->verdicts);
    post->forbidden = arena_alloc(arena, post->count * sizeof *post->forbidden);
    for (uint32_t i = 0; i < post->count; i++) {
        post->forbidden[i] = !scope_may_write(post->exchange->scope, post->drafts[i].book);
        post->verdicts[i].code = 0;
        if (!post->forbidden[i])
            ledger_check_draft(&post->drafts[i], arena, &post->verdicts[i]);
        left += post->verdicts[i].code == VERDICT_POSTED;
    }
    return left;
}

void handle_post_batch(struct exchange *e)
{
    struct body_error error;
    if (!check_body(e))
        return;
    struct post *post = new_post(e);
    uint32_t max = (uint32_t)e->worker->settings->http_batch_max;
    if (draft_json_read_batch(http_body(e->http), max, http_arena(e->http), &post->drafts, &post->count, &error) != 0) {
        refuse_body(e, &error);
        return;
    }
    e->draft_count = post->count;
    uint32_t left = check_slots(post);
    if (left == 0) {
        answer_batch(post);
        return;
    }
    struct buffer *message = submissions_begin(e->worker->submissions, SUBMISSION_POST, left);
    for (uint32_t i = 0; i < post->count; i++)
        if (post->verdicts[i].code == VERDICT_POSTED)
            submission_add_draft(message, &post->drafts[i]);
    send_post(post, batch_done);
}
