/*
 * The table of commands, and what each does: build a path and a body, send
 * them, print the answer.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/completions.h"
#include "client/draft.h"
#include "client/http.h"
#include "client/json.h"
#include "client/options.h"
#include "client/status.h"
#include "client/tail.h"

static int send(const struct server *server, struct text *path, const struct text *body)
{
    struct answer answer;
    http_request(server, path->base, body, &answer);
    int status = answer_print(&answer);
    answer_free(&answer);
    text_free(path);
    return status;
}

static int post_body(const struct server *server, const char *where, struct text *body)
{
    struct text path = {0};
    text_add_string(&path, where);
    int status = send(server, &path, body);
    text_free(body);
    return status;
}

/* --- bodies of flags --- */

enum value_form { FORM_STRING, FORM_INTEGER };

struct body_field {
    const char *flag, *name;
    enum value_form form;
};

static bool is_integer(const char *s)
{
    size_t sign = s[0] == '-';
    size_t digits = strspn(s + sign, "0123456789");
    return digits > 0 && s[sign + digits] == '\0' && !(s[sign] == '0' && digits > 1);
}

static bool build_body(const struct arguments *arguments, const struct body_field *fields, size_t count,
                       struct text *out)
{
    text_add_string(out, "{");
    for (size_t i = 0; i < count; i++) {
        const char *value = argument(arguments, fields[i].flag);
        if (!value)
            continue;
        text_printf(out, "%s\"%s\":", out->len > 1 ? "," : "", fields[i].name);
        if (fields[i].form == FORM_STRING) {
            json_add_string(out, value);
        } else if (is_integer(value)) {
            text_add_string(out, value);
        } else {
            complain("%s '%s': expected a whole number", fields[i].flag, value);
            text_free(out);
            return false;
        }
    }
    text_add_string(out, "}");
    return true;
}

#define BUILD(arguments, fields, out) build_body(arguments, fields, sizeof(fields) / sizeof *(fields), out)

static int run_asset_register(const struct server *server, const struct arguments *arguments)
{
    static const struct body_field fields[] = {
        {"--id", "id", FORM_STRING},           {"--class", "class", FORM_STRING},
        {"--network", "network", FORM_STRING}, {"--native-id", "native_id", FORM_STRING},
        {"--precision", "precision", FORM_INTEGER}, {"--name", "name", FORM_STRING},
    };
    struct text body = {0};
    return BUILD(arguments, fields, &body) ? post_body(server, "/v1/assets", &body) : STATUS_USAGE;
}

static int run_account_open(const struct server *server, const struct arguments *arguments)
{
    static const struct body_field fields[] = {
        {"--book", "book", FORM_STRING},   {"--path", "path", FORM_STRING},
        {"--asset", "asset", FORM_STRING}, {"--kind", "kind", FORM_STRING},
        {"--normal-side", "normal_side", FORM_STRING}, {"--min-balance", "min_balance", FORM_INTEGER},
    };
    struct text body = {0};
    return BUILD(arguments, fields, &body) ? post_body(server, "/v1/accounts", &body) : STATUS_USAGE;
}

static bool read_draft(const char *name, struct text *out)
{
    bool from_stdin = strcmp(name, "-") == 0;
    FILE *f = from_stdin ? stdin : fopen(name, "re");
    char piece[65536];
    size_t n;
    if (!f) {
        complain("cannot read the draft %s: %s", name, strerror(errno));
        return false;
    }
    while ((n = fread(piece, 1, sizeof piece, f)) > 0 && out->len <= ANSWER_MAX_BYTES)
        text_add(out, piece, n);
    bool good = !ferror(f);
    if (!good)
        complain("cannot read the draft %s: %s", name, strerror(errno));
    if (!from_stdin)
        fclose(f);
    if (!out->base)
        text_add_string(out, "");
    return good;
}

static int run_post(const struct server *server, const struct arguments *arguments)
{
    struct text file = {0}, body = {0};
    const char *name = argument(arguments, "--draft");
    bool good = (!name || read_draft(name, &file)) && draft_build(arguments, name ? file.base : NULL, file.len, &body);
    text_free(&file);
    if (!good) {
        text_free(&body);
        return STATUS_USAGE;
    }
    return post_body(server, "/v1/transactions", &body);
}

/* --- reads --- */

static void add_query(struct text *path, const struct arguments *arguments, const char *flag, const char *name)
{
    const char *value = argument(arguments, flag);
    if (!value)
        return;
    text_printf(path, "%s%s=", strchr(path->base, '?') ? "&" : "?", name);
    add_segment(path, value);
}

static void account_path(struct text *path, const struct arguments *arguments, const char *what)
{
    text_add_string(path, "/v1/books/");
    add_segment(path, argument(arguments, "--book"));
    text_add_string(path, "/accounts/");
    add_segment(path, argument(arguments, "--path"));
    text_printf(path, "/%s", what);
}

static int run_balance(const struct server *server, const struct arguments *arguments)
{
    struct text path = {0};
    account_path(&path, arguments, "balance");
    add_query(&path, arguments, "--as-of", "as_of");
    return send(server, &path, NULL);
}

static int run_history(const struct server *server, const struct arguments *arguments)
{
    struct text path = {0};
    account_path(&path, arguments, "history");
    add_query(&path, arguments, "--after-seq", "after_seq");
    add_query(&path, arguments, "--limit", "limit");
    return send(server, &path, NULL);
}

static int run_tx(const struct server *server, const struct arguments *arguments)
{
    struct text path = {0};
    text_add_string(&path, "/v1/transactions/");
    add_segment(&path, arguments->operand);
    return send(server, &path, NULL);
}

static int run_trial_balance(const struct server *server, const struct arguments *arguments)
{
    struct text path = {0};
    text_add_string(&path, "/v1/books/");
    add_segment(&path, argument(arguments, "--book"));
    text_add_string(&path, "/trial-balance");
    add_query(&path, arguments, "--as-of", "as_of");
    return send(server, &path, NULL);
}

static int run_tail(const struct server *server, const struct arguments *arguments)
{
    const char *from = argument(arguments, "--from");
    if (from && (!is_integer(from) || from[0] == '-' || strlen(from) > 18)) {
        complain("--from '%s': expected the first seq wanted", from);
        return STATUS_USAGE;
    }
    return tail_book(server, argument(arguments, "--book"), from ? strtoull(from, NULL, 10) : 1);
}

static int run_completions(const struct server *server, const struct arguments *arguments)
{
    (void)server;
    if (completions_print(arguments->operand))
        return STATUS_DONE;
    complain("no completions for '%s': bash, zsh or fish", arguments->operand);
    return STATUS_USAGE;
}

/* --- the table --- */

#define BOOK {"--book", "BOOK", "name of the book", true, false}
#define PATH {"--path", "PATH", "path of the account", true, false}
#define AS_OF {"--as-of", "TIME", "RFC 3339 time to look back to", false, false}

const struct flag global_flags[] = {
    {"--url", "URL", "the ledger (TALEA_URL; http://127.0.0.1:8080)", false, false},
    {"--token", "TOKEN", "bearer token (better: TALEA_TOKEN)", false, false},
    {"--timeout-secs", "N", "seconds for one try (30)", false, false},
    {0},
};

const struct command commands[] = {
    {{"asset", "register"},
     NULL,
     "register an asset",
     {{"--id", "ID", "id of the asset", true, false},
      {"--class", "CLASS", "fiat or crypto", true, false},
      {"--network", "NETWORK", "network of a crypto asset", false, false},
      {"--native-id", "ID", "the asset in its network", false, false},
      {"--precision", "N", "decimals, 0 to 255", true, false},
      {"--name", "NAME", "name for people", true, false},
      {0}},
     run_asset_register},
    {{"account", "open"},
     NULL,
     "open an account",
     {BOOK,
      PATH,
      {"--asset", "ID", "the asset it holds", true, false},
      {"--kind", "KIND", "asset liability income expense equity clearing", true, false},
      {"--normal-side", "SIDE", "debit or credit", false, false},
      {"--min-balance", "MINOR", "refuse posts that leave less", false, false},
      {0}},
     run_account_open},
    {{"post", NULL},
     NULL,
     "post a transaction",
     {{"--book", "BOOK", "name of the book", false, false},
      {"--idem", "KEY", "idempotency key; never made up", false, false},
      {"--debit", "ACCOUNT:ASSET:MINOR", "a debit posting", false, true},
      {"--credit", "ACCOUNT:ASSET:MINOR", "a credit posting", false, true},
      {"--occurred-at", "TIME", "RFC 3339 time of the business event", false, false},
      {"--metadata", "JSON", "any JSON value", false, false},
      {"--draft", "FILE", "a draft as JSON, - for stdin; flags override it", false, false},
      {0}},
     run_post},
    {{"balance", NULL}, NULL, "show an account balance", {BOOK, PATH, AS_OF, {0}}, run_balance},
    {{"history", NULL},
     NULL,
     "show the postings of an account",
     {BOOK,
      PATH,
      {"--after-seq", "N", "begin behind this seq", false, false},
      {"--limit", "N", "transactions on the page", false, false},
      {0}},
     run_history},
    {{"tx", NULL}, "TX_ID", "show a transaction", {{0}}, run_tx},
    {{"trial-balance", NULL}, NULL, "show the sums of a book", {BOOK, AS_OF, {0}}, run_trial_balance},
    {{"tail", NULL},
     NULL,
     "follow the events of a book as JSON lines",
     {BOOK, {"--from", "N", "the first seq wanted", false, false}, {0}},
     run_tail},
    {{"completions", NULL}, "SHELL", "print completions for bash, zsh or fish", {{0}}, run_completions},
};
const size_t command_count = sizeof commands / sizeof *commands;
