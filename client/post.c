/*
 * The draft that `talea post` sends. Without --draft it is built from the
 * flags alone; with it, the flags override members of the file and all else
 * passes through byte for byte. An idempotency key is asked for and never made
 * up: a made-up one would be another at each run, and the posting would be made twice.
 */
#include "client/post.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client/draft_override.h"
#include "client/json_text.h"
#include "client/posting_arg.h"
#include "client/status.h"

/* The ledger takes 2 MiB; this only keeps an endless pipe from filling the memory. */
#define DRAFT_MAX_BYTES (64u << 20)

static bool read_stream(FILE *f, const char *name, struct text *out)
{
    char piece[65536];
    size_t n;
    text_add(out, "", 0);
    while ((n = fread(piece, 1, sizeof piece, f)) > 0) {
        if (out->len + n > DRAFT_MAX_BYTES) {
            complain("the draft %s is over %u MiB", name, DRAFT_MAX_BYTES >> 20);
            return false;
        }
        text_add(out, piece, n);
    }
    if (ferror(f))
        complain("cannot read the draft %s: %s", name, strerror(errno));
    return !ferror(f);
}

static bool read_draft(const char *name, struct text *out)
{
    if (strcmp(name, "-") == 0)
        return read_stream(stdin, "from stdin", out);
    FILE *f = fopen(name, "re");
    if (!f) {
        complain("cannot read the draft %s: %s", name, strerror(errno));
        return false;
    }
    bool good = read_stream(f, name, out);
    fclose(f);
    return good;
}

static bool is_posting(const struct given *given)
{
    return strcmp(given->flag->name, "--debit") == 0 || strcmp(given->flag->name, "--credit") == 0;
}

static bool add_posting(const struct given *given, struct text *out)
{
    struct posting_arg posting;
    int error = posting_arg_parse(given->value, &posting);
    if (error) {
        complain("%s '%s': %s", given->flag->name, given->value,
                 error == ERANGE ? "the minor units must be a whole number of 64 bits"
                                 : "expected <account>:<asset>:<minor>, as in cash:USD:1000");
        return false;
    }
    text_add_string(out, out->len > 1 ? "," : "");
    posting_arg_add_json(out, &posting, given->flag->name + 2);
    return true;
}

/* In the order of the command line, debits and credits as they come. Stays empty when there are none. */
static bool add_postings(const struct arguments *arguments, struct text *out)
{
    for (size_t i = 0; i < arguments->count; i++) {
        if (!is_posting(&arguments->given[i]))
            continue;
        if (out->len == 0)
            text_add_string(out, "[");
        if (!add_posting(&arguments->given[i], out))
            return false;
    }
    if (out->len > 0)
        text_add_string(out, "]");
    return true;
}

static const char *as_json_string(const struct arguments *arguments, const char *flag, struct text *out)
{
    const char *value = argument(arguments, flag);
    if (!value)
        return NULL;
    json_add_string(out, value, strlen(value));
    return out->base;
}

static bool check_metadata(const char *metadata)
{
    if (!metadata || json_is_valid(metadata, strlen(metadata)))
        return true;
    complain("--metadata is not valid JSON; a string needs its own quotes, as in '\"text\"'");
    return false;
}

static bool check_complete(const struct arguments *arguments, bool has_key, bool has_postings)
{
    if (!has_key)
        complain("--idem is required: a key that talea made up would be another one at each run, so that "
                 "a retry would post twice");
    else if (argument(arguments, "--draft"))
        return true;
    else if (!argument(arguments, "--book"))
        complain("--book is required");
    else if (!has_postings)
        complain("at least one --debit or --credit is required");
    else
        return true;
    return false;
}

enum { BOOK, KEY, POSTINGS, OCCURRED_AT, METADATA, MEMBER_COUNT };

static bool override(const struct arguments *arguments, const struct text *file, struct draft_member *members,
                     struct text *out)
{
    if (draft_override(file->base, file->len, members, MEMBER_COUNT, out) != 0) {
        complain("the draft is no JSON object");
        return false;
    }
    return check_complete(arguments, members[KEY].found || members[KEY].value, members[POSTINGS].value);
}

bool post_build(const struct arguments *arguments, struct text *out)
{
    struct text file = {0}, book = {0}, key = {0}, occurred_at = {0}, postings = {0};
    const char *draft = argument(arguments, "--draft");
    bool good = add_postings(arguments, &postings) && check_metadata(argument(arguments, "--metadata"));
    if (good && draft)
        good = read_draft(draft, &file);
    else
        text_add_string(&file, "{}");
    struct draft_member members[MEMBER_COUNT] = {
        [BOOK] = {"book", as_json_string(arguments, "--book", &book), false},
        [KEY] = {"idempotency_key", as_json_string(arguments, "--idem", &key), false},
        [POSTINGS] = {"postings", postings.base, false},
        [OCCURRED_AT] = {"occurred_at", as_json_string(arguments, "--occurred-at", &occurred_at), false},
        [METADATA] = {"metadata", argument(arguments, "--metadata"), false},
    };
    good = good && override(arguments, &file, members, out);
    text_free(&file);
    text_free(&book);
    text_free(&key);
    text_free(&occurred_at);
    text_free(&postings);
    return good;
}
