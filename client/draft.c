#include "client/draft.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client/json.h"
#include "client/status.h"

/* Is it an integer of the 64-bit range, as its text? */
static bool is_i64(const char *s, size_t length)
{
    bool negative = length > 0 && s[0] == '-';
    int64_t value = 0;
    for (size_t i = negative; i < length; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
        int digit = s[i] - '0';
        if (__builtin_mul_overflow(value, 10, &value) ||
            (negative ? __builtin_sub_overflow(value, digit, &value) : __builtin_add_overflow(value, digit, &value)))
            return false;
    }
    /* JSON knows no leading zeros. */
    return length > (size_t)negative && !(s[negative] == '0' && length > (size_t)negative + 1);
}

bool posting_argument_parse(const char *text, struct posting_argument *out)
{
    const char *minor = strrchr(text, ':');
    const char *asset = minor ? memrchr(text, ':', (size_t)(minor - text)) : NULL;
    if (!asset)
        return false;
    *out = (struct posting_argument){
        .account = text,
        .asset = asset + 1,
        .minor = minor + 1,
        .account_len = (size_t)(asset - text),
        .asset_len = (size_t)(minor - asset - 1),
        .minor_len = strlen(minor + 1),
    };
    return out->account_len > 0 && out->asset_len > 0 && is_i64(out->minor, out->minor_len);
}

static void add_slice(struct text *out, const char *s, size_t length)
{
    char *copy = strndup(s, length);
    if (!copy) {
        complain("out of memory");
        exit(STATUS_USAGE);
    }
    json_add_string(out, copy);
    free(copy);
}

static bool is_posting(const struct given *given)
{
    return strcmp(given->flag->name, "--debit") == 0 || strcmp(given->flag->name, "--credit") == 0;
}

static bool add_posting(struct text *out, const struct given *given)
{
    struct posting_argument posting;
    if (!posting_argument_parse(given->value, &posting)) {
        complain("%s '%s': expected <account>:<asset>:<minor>, minor a whole number", given->flag->name, given->value);
        return false;
    }
    text_add_string(out, "{\"account\":");
    add_slice(out, posting.account, posting.account_len);
    text_add_string(out, ",\"amount\":{\"minor\":");
    text_add(out, posting.minor, posting.minor_len);
    text_add_string(out, ",\"asset\":");
    add_slice(out, posting.asset, posting.asset_len);
    text_printf(out, "},\"direction\":\"%s\"}", given->flag->name + 2);
    return true;
}

static bool add_postings(struct text *out, const struct arguments *arguments, size_t *count)
{
    *count = 0;
    text_add_string(out, "[");
    for (size_t i = 0; i < arguments->count; i++) {
        if (!is_posting(&arguments->given[i]))
            continue;
        if ((*count)++ > 0)
            text_add_string(out, ",");
        if (!add_posting(out, &arguments->given[i]))
            return false;
    }
    text_add_string(out, "]");
    return true;
}

/* --- the body: members of the file, and those of the flags in their place --- */

struct building {
    struct text *out;
    size_t members;
};

static void add_name(struct building *b, const char *name)
{
    text_add_string(b->out, b->members++ ? "," : "");
    json_add_string(b->out, name);
    text_add_string(b->out, ":");
}

static bool add_overrides(struct building *b, const struct arguments *arguments, struct text *postings,
                          size_t posting_count)
{
    static const char *const strings[][2] = {
        {"--book", "book"}, {"--idem", "idempotency_key"}, {"--occurred-at", "occurred_at"}};
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
        const char *value = argument(arguments, strings[i][0]);
        if (!value)
            continue;
        add_name(b, strings[i][1]);
        json_add_string(b->out, value);
    }
    const char *metadata = argument(arguments, "--metadata");
    if (metadata && !json_is_valid(metadata, strlen(metadata))) {
        complain("--metadata is not valid JSON");
        return false;
    }
    if (metadata) {
        add_name(b, "metadata");
        text_add_string(b->out, metadata);
    }
    if (posting_count > 0) {
        add_name(b, "postings");
        text_add(b->out, postings->base, postings->len);
    }
    return true;
}

static bool is_overridden(const char *name, const struct arguments *arguments, size_t posting_count)
{
    return (strcmp(name, "book") == 0 && argument(arguments, "--book")) ||
           (strcmp(name, "idempotency_key") == 0 && argument(arguments, "--idem")) ||
           (strcmp(name, "occurred_at") == 0 && argument(arguments, "--occurred-at")) ||
           (strcmp(name, "metadata") == 0 && argument(arguments, "--metadata")) ||
           (strcmp(name, "postings") == 0 && posting_count > 0);
}

static bool has_member(const struct json_member *members, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(members[i].name, name) == 0)
            return true;
    return false;
}

static bool check_complete(const struct arguments *arguments, const struct json_member *members, size_t count,
                           bool from_file, size_t posting_count)
{
    if (!argument(arguments, "--idem") && !has_member(members, count, "idempotency_key")) {
        complain("--idem is required: a key that talea made up would be another one on each retry, and post twice");
        return false;
    }
    if (!from_file && !argument(arguments, "--book")) {
        complain("--book is required");
        return false;
    }
    if (!from_file && posting_count == 0) {
        complain("at least one --debit or --credit is required");
        return false;
    }
    return true;
}

bool draft_build(const struct arguments *arguments, const char *file, size_t file_len, struct text *out)
{
    struct json_member *members = NULL;
    struct text postings = {0};
    struct building b = {.out = out};
    size_t count = 0, posting_count;
    if (file && !json_members(file, file_len, &members, &count)) {
        complain("the draft is no JSON object");
        return false;
    }
    bool good = add_postings(&postings, arguments, &posting_count) &&
                check_complete(arguments, members, count, file != NULL, posting_count);
    text_add_string(out, "{");
    for (size_t i = 0; good && i < count; i++) {
        if (is_overridden(members[i].name, arguments, posting_count))
            continue;
        add_name(&b, members[i].name);
        text_add(out, members[i].value, members[i].value_len);
    }
    good = good && add_overrides(&b, arguments, &postings, posting_count);
    text_add_string(out, "}");
    json_members_free(members, count);
    text_free(&postings);
    return good;
}
