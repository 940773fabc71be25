#include "server/read_routes.h"

/*
 * Each handler: query first (400), then scope (403), then one short look into
 * the index. What it found is written as JSON while the look lasts, since
 * names are slices of the index's mapping, and sent after it.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/account_key.h"
#include "common/ledger.h"
#include "server/answers.h"
#include "server/balance_text.h"
#include "server/ledger_json.h"
#include "server/posting_text.h"
#include "server/query.h"
#include "server/trial_balance.h"
#include "server/worker.h"

/* --- shared pieces --- */

static void refuse_query(struct exchange *e, const char *reason)
{
    exchange_answer(e, answer_invalid(exchange_json(e), "query", reason));
}

static void json_as_of(struct json_text *j, bool present, struct timestamp as_of)
{
    json_key(j, "as_of");
    if (present) {
        char text[RFC3339_TEXT_MAX];
        int n = rfc3339_format(as_of, text);
        json_string(j, bytes_of(text, (size_t)n));
    } else {
        json_null(j);
    }
}

/* For index_find_book_at: the time that is asked for, if one is. */
static int64_t time_wanted(bool past, struct timestamp as_of)
{
    return past ? timestamp_floor_us(as_of) : INT64_MIN;
}

/* Checks the names and begins to read: the account, and its book for that time. False: answered. */
static bool begin_with_account(struct exchange *e, int64_t at_us, struct book_row *book, struct account_value *account)
{
    if (!exchange_check_names(e) || !exchange_read_index(e))
        return false;
    int error = index_find_book_at(e->worker->index, e->match.book, at_us, book);
    if (error == 0)
        error = index_find_account(e->worker->index, book->book_no, e->match.path, account);
    if (error == ENOENT) {
        index_reader_end(e->worker->index);
        exchange_answer(e, answer_unknown_account(exchange_json(e), e->match.book, e->match.path));
    } else if (error) {
        exchange_read_failed(e, error);
    }
    return error == 0;
}

/* Ends reading, and sends what was written, or says that it could not be read. */
static void finish(struct exchange *e, int error)
{
    if (error) {
        exchange_read_failed(e, error);
        return;
    }
    index_reader_end(e->worker->index);
    exchange_answer(e, 200);
}

/* --- balance --- */

static int read_balance(struct exchange *e, const struct book_row *book, const struct account_value *account,
                        bool past, struct timestamp as_of, struct account_sums *sums)
{
    uint64_t seq;
    *sums = (struct account_sums){account->row.debits, account->row.credits, account->row.updated_seq};
    if (!past)
        return 0;
    int error = index_seq_at(e->worker->index, book, timestamp_floor_us(as_of), &seq);
    if (error == 0 && seq < book->last_seq)
        error = index_account_at(e->worker->index, book->book_no, account, seq, sums);
    return error;
}

static void write_balance(struct exchange *e, const struct account_row *account, const struct asset_definition *asset,
                          bool past, struct timestamp as_of, const struct account_sums *sums)
{
    struct balance_view view = {
        .book = e->match.book,
        .path = e->match.path,
        .asset = asset->id,
        .balance = ledger_balance((enum normal_side)account->normal_side, sums->debits, sums->credits),
        .precision = asset->precision,
        .past = past,
        .as_of = as_of,
        .updated_seq = sums->updated_seq,
    };
    buffer_clear(&e->worker->answer);
    balance_text_write(&view, http_arena(e->http), &e->worker->answer);
}

void handle_get_balance(struct exchange *e)
{
    bool past;
    struct timestamp as_of = {0};
    const char *reason;
    struct book_row book;
    struct account_value account;
    struct account_sums sums;
    struct asset_definition asset;
    if (query_as_of(e->match.query, http_arena(e->http), &past, &as_of, &reason) != 0) {
        refuse_query(e, reason);
        return;
    }
    if (!begin_with_account(e, time_wanted(past, as_of), &book, &account))
        return;
    int error = read_balance(e, &book, &account, past, as_of, &sums);
    if (error == 0)
        error = index_asset(e->worker->index, account.row.asset_no, &asset);
    if (error == 0)
        write_balance(e, &account.row, &asset, past, as_of, &sums);
    finish(e, error);
}

/* --- history --- */

/*
 * A page ends with the transaction that passes this: with tens of thousands of
 * postings in one, or a long name in each, a thousand of them would be more
 * than a worker's memory. The client sees a `next` and goes on.
 */
#define HISTORY_PAGE_BYTES (64u << 20)

struct history_page {
    struct json_text *json;
    const struct buffer *text; /* what json writes to */
    struct posting_text form; /* of the account */
    uint64_t last_seq;
};

static bool add_history_row(void *context, const struct posting_row *row)
{
    struct history_page *page = context;
    char id[UUID_TEXT_LEN], at[RFC3339_TEXT_MAX];
    uuid_format(row->tx_id, id);
    int n = rfc3339_format_us(row->at_us, at);
    struct posting_item item = {.seq = row->seq, .tx_id = bytes_of(id, UUID_TEXT_LEN), .at = bytes_of(at, (size_t)n)};
    page->last_seq = row->seq;
    for (uint32_t i = 0; i < row->posting_count; i++) {
        posting_entry(row->entries, i, &item.minor, &item.direction);
        posting_text_write(&page->form, &item, page->json);
    }
    return page->text->len < HISTORY_PAGE_BYTES;
}

static int write_history(struct exchange *e, uint32_t book_no, const struct account_value *account, uint64_t after_seq,
                         uint32_t limit)
{
    struct asset_definition asset;
    struct buffer key = {0};
    bool exhausted;
    int error = index_asset(e->worker->index, account->row.asset_no, &asset);
    if (error)
        return error;
    account_key_append(&key, e->match.book, e->match.path);
    struct history_page page = {.json = exchange_json(e), .text = &e->worker->answer};
    posting_text_begin(&page.form, buffer_bytes(&key), asset.id);
    json_open_object(page.json);
    json_key(page.json, "items");
    json_open_array(page.json);
    error = index_history(e->worker->index, book_no, account, after_seq, limit, add_history_row, &page, &exhausted);
    if (error == 0) {
        json_close_array(page.json);
        json_key(page.json, "next");
        if (exhausted)
            json_null(page.json);
        else
            json_unsigned(page.json, page.last_seq);
        json_close_object(page.json);
    }
    posting_text_free(&page.form);
    buffer_free(&key);
    return error;
}

void handle_get_history(struct exchange *e)
{
    uint32_t limit;
    uint64_t after_seq;
    const char *reason;
    struct book_row book;
    struct account_value account;
    struct arena *arena = http_arena(e->http);
    if (query_limit(e->match.query, arena, &limit, &reason) != 0 ||
        query_sequence(e->match.query, "after_seq", arena, &after_seq, &reason) != 0) {
        refuse_query(e, reason);
        return;
    }
    if (begin_with_account(e, time_wanted(false, (struct timestamp){0}), &book, &account))
        finish(e, write_history(e, book.book_no, &account, after_seq, limit));
}

/* --- trial balance --- */

static int read_trial_balance(struct exchange *e, bool past, struct timestamp as_of, struct trial_line **lines,
                              size_t *count)
{
    struct book_row book;
    uint64_t seq = UINT64_MAX;
    *lines = NULL;
    *count = 0;
    int error = index_find_book_at(e->worker->index, e->match.book, time_wanted(past, as_of), &book);
    if (error)
        return error == ENOENT ? 0 : error; /* a book nobody has used */
    if (past) {
        error = index_seq_at(e->worker->index, &book, timestamp_floor_us(as_of), &seq);
        if (error)
            return error;
        if (seq == book.last_seq)
            seq = UINT64_MAX;
    }
    return trial_balance_read(e->worker->index, book.book_no, seq, lines, count);
}

static void write_trial_balance(struct exchange *e, bool past, struct timestamp as_of, const struct trial_line *lines,
                                size_t count)
{
    struct json_text *j = exchange_json(e);
    json_open_object(j);
    json_field(j, "book", e->match.book);
    json_as_of(j, past, as_of);
    json_key(j, "lines");
    json_open_array(j);
    for (size_t i = 0; i < count; i++) {
        json_open_object(j);
        json_field(j, "asset", lines[i].asset);
        json_key(j, "debits");
        json_unsigned(j, lines[i].debits);
        json_key(j, "credits");
        json_unsigned(j, lines[i].credits);
        json_close_object(j);
    }
    json_close_array(j);
    json_close_object(j);
}

void handle_get_trial_balance(struct exchange *e)
{
    bool past;
    struct timestamp as_of;
    const char *reason;
    struct trial_line *lines;
    size_t count;
    if (query_as_of(e->match.query, http_arena(e->http), &past, &as_of, &reason) != 0) {
        refuse_query(e, reason);
        return;
    }
    if (!exchange_check_names(e) || !exchange_read_index(e))
        return;
    int error = read_trial_balance(e, past, as_of, &lines, &count);
    if (error == 0) {
        write_trial_balance(e, past, as_of, lines, count);
        free(lines);
    }
    finish(e, error);
}

/* --- transactions --- */

static void write_transaction(struct exchange *e, const struct event *event, const struct draft *draft)
{
    char id[UUID_TEXT_LEN], at[RFC3339_TEXT_MAX];
    struct json_text *j = exchange_json(e);
    struct buffer key = {0};
    uuid_format(event->tx_id, id);
    int n = rfc3339_format_us(event->at_us, at);
    struct posting_text form = {.scratch = {0}};
    struct posting_item item = {.seq = event->seq, .tx_id = bytes_of(id, UUID_TEXT_LEN), .at = bytes_of(at, (size_t)n)};
    json_open_object(j);
    json_field(j, "tx_id", item.tx_id);
    json_field(j, "book", event->book);
    json_key(j, "seq");
    json_unsigned(j, event->seq);
    json_field(j, "at", item.at);
    json_key(j, "postings");
    json_open_array(j);
    for (uint32_t i = 0; i < draft->posting_count; i++) {
        const struct posting *posting = &draft->postings[i];
        buffer_clear(&key);
        account_key_append(&key, event->book, posting->account);
        posting_text_begin(&form, buffer_bytes(&key), posting->asset);
        item.minor = posting->minor;
        item.direction = posting->direction;
        posting_text_write(&form, &item, j);
    }
    json_close_array(j);
    json_external_refs(j, draft);
    json_metadata(j, draft);
    json_close_object(j);
    posting_text_free(&form);
    buffer_free(&key);
}

/* The event of a transaction; ENOENT also for one in a book outside the token's scope. */
static int read_transaction(struct exchange *e, struct uuid id, struct event *event, struct draft *draft)
{
    uint32_t book_no;
    uint64_t seq;
    int error = index_transaction(e->worker->index, id, &book_no, &seq);
    if (error == 0)
        error = worker_read_event(e->worker, book_no, seq, event);
    if (error == 0 && !scope_may_read(e->scope, event->book))
        error = ENOENT;
    if (error == 0)
        error = draft_unpack_body(event->body, http_arena(e->http), draft);
    return error;
}

void handle_get_transaction(struct exchange *e)
{
    struct uuid id;
    struct event event;
    struct draft draft;
    if (uuid_parse_text(e->match.tx_id, &id) != 0) {
        exchange_answer(e, answer_invalid(exchange_json(e), "tx_id", "must be a UUID"));
        return;
    }
    if (!exchange_read_index(e))
        return;
    int error = read_transaction(e, id, &event, &draft);
    if (error == ENOENT) {
        index_reader_end(e->worker->index);
        exchange_answer(e, answer_not_found(exchange_json(e), "transaction", e->match.tx_id));
        return;
    }
    if (error == 0)
        write_transaction(e, &event, &draft);
    finish(e, error);
}

/* --- health --- */

void handle_get_health(struct exchange *e)
{
    static const struct http_header backend = {"x-talea-backend", BYTES_LITERAL("log")};
    exchange_answer_text(e, "text/plain; charset=utf-8", &backend, 1, BYTES_LITERAL("ok"));
}
