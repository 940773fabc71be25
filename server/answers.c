#include "server/answers.h"

#include <stdlib.h>

#include "common/account_key.h"
#include "common/decimal.h"
#include "common/rfc3339.h"
#include "server/ledger_json.h"
#include "server/text_append.h"

static void open_error(struct json_text *j, const char *word)
{
    json_open_object(j);
    json_key(j, "error");
    json_cstring(j, word);
}

static int close_error(struct json_text *j, int status)
{
    json_close_object(j);
    return status;
}

static void field_integer(struct json_text *j, const char *key, int64_t value)
{
    json_key(j, key);
    json_integer(j, value);
}

int answer_invalid(struct json_text *j, const char *field, const char *reason)
{
    open_error(j, "invalid_draft");
    json_field(j, "field", bytes_of_string(field));
    json_field(j, "reason", bytes_of_string(reason));
    return close_error(j, 400);
}

int answer_content_type(struct json_text *j)
{
    answer_invalid(j, "body", "Content-Type must be application/json or application/*+json");
    return 415;
}

int answer_unauthorized(struct json_text *j)
{
    open_error(j, "unauthorized");
    return close_error(j, 401);
}

int answer_forbidden(struct json_text *j, struct bytes book)
{
    open_error(j, "forbidden");
    json_field(j, "book", book);
    return close_error(j, 403);
}

int answer_unknown_account(struct json_text *j, struct bytes book, struct bytes path)
{
    open_error(j, "unknown_account");
    json_account_key(j, "account", book, path);
    return close_error(j, 404);
}

static void field_what(struct json_text *j, const char *kind, struct bytes name)
{
    struct buffer text = {0};
    buffer_append_string(&text, kind);
    if (name.base) {
        buffer_append_string(&text, " ");
        buffer_append(&text, name.base, name.len);
    }
    json_field(j, "what", buffer_bytes(&text));
    buffer_free(&text);
}

int answer_not_found(struct json_text *j, const char *kind, struct bytes name)
{
    open_error(j, "not_found");
    field_what(j, kind, name);
    return close_error(j, 404);
}

int answer_method_not_allowed(struct json_text *j)
{
    open_error(j, "method_not_allowed");
    return close_error(j, 405);
}

int answer_timeout(struct json_text *j)
{
    open_error(j, "timeout");
    return close_error(j, 408);
}

int answer_overloaded(struct json_text *j, int status)
{
    open_error(j, "overloaded");
    return close_error(j, status);
}

int answer_internal(struct json_text *j, const char *message)
{
    open_error(j, "internal");
    json_field(j, "message", bytes_of_string(message));
    return close_error(j, 500);
}

/* The drafts of a group commit have one time, and mostly those of a batch: its text is kept for the next one. */
static struct bytes time_text(int64_t at_us)
{
    static _Thread_local struct {
        int64_t at_us;
        size_t length; /* 0: none is kept yet */
        char text[RFC3339_TEXT_MAX];
    } last;
    if (last.length == 0 || last.at_us != at_us) {
        last.length = (size_t)rfc3339_format_us(at_us, last.text);
        last.at_us = at_us;
    }
    return bytes_of(last.text, last.length);
}

/* Fixed in shape and without a client's text: written as it is, without a generator. */
static int posted(struct json_text *j, const struct verdict *verdict)
{
    char id[UUID_TEXT_LEN], seq[U128_TEXT_MAX], text[200];
    uuid_format(verdict->tx_id, id);
    char *end = TEXT_APPEND_LITERAL(text, "{\"tx_id\":\"");
    end = text_append(end, id, UUID_TEXT_LEN);
    end = TEXT_APPEND_LITERAL(end, "\",\"seq\":");
    end = text_append(end, seq, (size_t)u128_format(verdict->seq, seq));
    end = TEXT_APPEND_LITERAL(end, ",\"at\":\"");
    end = text_append_bytes(end, time_text(verdict->at_us));
    end = TEXT_APPEND_LITERAL(end, "\",\"deduplicated\":");
    end = verdict->deduplicated ? TEXT_APPEND_LITERAL(end, "true}") : TEXT_APPEND_LITERAL(end, "false}");
    json_ready(j, bytes_of(text, (size_t)(end - text)));
    return 200;
}

static int refused_form(struct json_text *j, const struct verdict *verdict)
{
    const char *field, *text;
    invalid_reason_words(verdict->reason, &field, &text);
    return answer_invalid(j, field, text);
}

static int unbalanced(struct json_text *j, const struct verdict *verdict, struct bytes asset)
{
    open_error(j, "unbalanced");
    json_field(j, "asset", asset);
    field_integer(j, "debit", verdict->a);
    field_integer(j, "credit", verdict->b);
    return close_error(j, 400);
}

static int asset_mismatch(struct json_text *j, struct bytes book, const struct posting *posting,
                          struct bytes account_asset)
{
    open_error(j, "asset_mismatch");
    json_account_key(j, "account", book, posting->account);
    json_field(j, "account_asset", account_asset);
    json_field(j, "asset", posting->asset);
    return close_error(j, 400);
}

static int constraint(struct json_text *j, struct bytes book, const struct posting *posting,
                      const struct verdict *verdict)
{
    open_error(j, "constraint_violation");
    json_account_key(j, "account", book, posting->account);
    field_integer(j, "min_balance", verdict->a);
    field_integer(j, "would_be", verdict->b);
    return close_error(j, 409);
}

static int unavailable_or_internal(struct json_text *j, const struct verdict *verdict)
{
    if (verdict->code == VERDICT_OVERLOADED)
        return answer_overloaded(j, 429);
    if (verdict->code == VERDICT_UNAVAILABLE)
        return answer_overloaded(j, 503);
    return answer_internal(j, "the arbiter could not decide this draft; its log says more");
}

int answer_post(struct json_text *j, const struct verdict *verdict, const struct draft *draft, struct bytes asset_id)
{
    static const struct posting nothing;
    const struct posting *posting =
        verdict->posting < draft->posting_count ? &draft->postings[verdict->posting] : &nothing;
    switch ((enum verdict_code)verdict->code) {
    case VERDICT_POSTED:
        return posted(j, verdict);
    case VERDICT_INVALID_DRAFT:
        return refused_form(j, verdict);
    case VERDICT_UNBALANCED:
        return unbalanced(j, verdict, posting->asset);
    case VERDICT_INVALID_AMOUNT:
        open_error(j, "invalid_amount");
        field_integer(j, "amount", verdict->a);
        return close_error(j, 400);
    case VERDICT_ASSET_MISMATCH:
        return asset_mismatch(j, draft->book, posting, asset_id);
    case VERDICT_UNKNOWN_ACCOUNT:
        return answer_unknown_account(j, draft->book, posting->account);
    case VERDICT_CONSTRAINT:
        return constraint(j, draft->book, posting, verdict);
    case VERDICT_OVERLOADED:
    case VERDICT_UNAVAILABLE:
    case VERDICT_INTERNAL:
    case VERDICT_DONE:
    case VERDICT_UNKNOWN_ASSET:
    case VERDICT_ALREADY_EXISTS:
        break;
    }
    return unavailable_or_internal(j, verdict);
}

static int already_exists(struct json_text *j, const char *kind, struct bytes name)
{
    open_error(j, "already_exists");
    field_what(j, kind, name);
    return close_error(j, 409);
}

int answer_asset(struct json_text *j, const struct verdict *verdict, const struct asset_definition *asset)
{
    if (verdict->code == VERDICT_DONE)
        return 204;
    if (verdict->code == VERDICT_INVALID_DRAFT)
        return refused_form(j, verdict);
    if (verdict->code == VERDICT_ALREADY_EXISTS)
        return already_exists(j, "asset", asset->id);
    return unavailable_or_internal(j, verdict);
}

int answer_account(struct json_text *j, const struct verdict *verdict, const struct account_definition *account)
{
    struct buffer key = {0};
    switch ((enum verdict_code)verdict->code) {
    case VERDICT_DONE:
        return 204;
    case VERDICT_INVALID_DRAFT:
        return refused_form(j, verdict);
    case VERDICT_UNKNOWN_ASSET:
        open_error(j, "unknown_asset");
        json_field(j, "asset", account->asset);
        return close_error(j, 404);
    case VERDICT_ALREADY_EXISTS:
        account_key_append(&key, account->book, account->path);
        already_exists(j, "account", buffer_bytes(&key));
        buffer_free(&key);
        return 409;
    default:
        return unavailable_or_internal(j, verdict);
    }
}
