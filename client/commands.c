/*
 * The table of commands, and what each does: build a path and a body, send
 * them, print the answer. What the values mean is the ledger's to judge; only
 * what would not even be JSON is refused here.
 */
#include "client/commands.h"

#include <inttypes.h>
#include <string.h>

#include "client/http.h"
#include "client/json_text.h"
#include "client/number.h"
#include "client/post.h"
#include "client/request_path.h"
#include "client/status.h"
#include "client/tail.h"
#include "common/completions.h"

/* Frees path and body. */
static int send_and_free(const struct server *server, struct text *path, struct text *body)
{
    struct answer answer;
    http_request(server, path->base, body, &answer);
    int status = answer_print(&answer);
    answer_free(&answer);
    text_free(path);
    if (body)
        text_free(body);
    return status;
}

static int post_and_free(const struct server *server, const char *where, struct text *body)
{
    struct text path = {0};
    text_add_string(&path, where);
    return send_and_free(server, &path, body);
}

/* Of all values that were parsed as a number, the one line that says which is none. */
static bool parse_number(const char *flag, const char *value, int64_t *out)
{
    bool good = number_parse(value, strlen(value), out);
    if (!good)
        complain("%s '%s': expected a whole number", flag, value);
    return good;
}

/* --- bodies of flags --- */

enum value_form { FORM_STRING, FORM_INTEGER };

struct body_field {
    const char *flag, *name;
    enum value_form form;
};

static bool add_field(const struct arguments *arguments, const struct body_field *field, struct text *out)
{
    const char *value = argument(arguments, field->flag);
    int64_t number;
    if (!value)
        return true;
    text_printf(out, "%s\"%s\":", out->len > 1 ? "," : "", field->name);
    if (field->form == FORM_STRING) {
        json_add_string(out, value, strlen(value));
        return true;
    }
    if (!parse_number(field->flag, value, &number))
        return false;
    text_printf(out, "%" PRId64, number);
    return true;
}

static int post_fields(const struct server *server, const char *where, const struct arguments *arguments,
                       const struct body_field *fields, size_t count)
{
    struct text body = {0};
    text_add_string(&body, "{");
    for (size_t i = 0; i < count; i++) {
        if (!add_field(arguments, &fields[i], &body)) {
            text_free(&body);
            return STATUS_USAGE;
        }
    }
    text_add_string(&body, "}");
    return post_and_free(server, where, &body);
}

static int run_asset_register(const struct server *server, const struct arguments *arguments)
{
    static const struct body_field fields[] = {
        {"--id", "id", FORM_STRING},
        {"--class", "class", FORM_STRING},
        {"--network", "network", FORM_STRING},
        {"--native-id", "native_id", FORM_STRING},
        {"--precision", "precision", FORM_INTEGER},
        {"--name", "name", FORM_STRING},
    };
    return post_fields(server, "/v1/assets", arguments, fields, sizeof fields / sizeof *fields);
}

static int run_account_open(const struct server *server, const struct arguments *arguments)
{
    static const struct body_field fields[] = {
        {"--book", "book", FORM_STRING},
        {"--path", "path", FORM_STRING},
        {"--asset", "asset", FORM_STRING},
        {"--kind", "kind", FORM_STRING},
        {"--normal-side", "normal_side", FORM_STRING},
        {"--min-balance", "min_balance", FORM_INTEGER},
    };
    return post_fields(server, "/v1/accounts", arguments, fields, sizeof fields / sizeof *fields);
}

static int run_post(const struct server *server, const struct arguments *arguments)
{
    struct text body = {0};
    if (post_build(arguments, &body))
        return post_and_free(server, "/v1/transactions", &body);
    text_free(&body);
    return STATUS_USAGE;
}

/* --- reads --- */

static void add_account(struct text *path, const struct arguments *arguments, const char *what)
{
    request_path_add_book(path, argument(arguments, "--book"));
    text_add_string(path, "/accounts/");
    request_path_add_name(path, argument(arguments, "--path"));
    text_printf(path, "/%s", what);
}

static int run_balance(const struct server *server, const struct arguments *arguments)
{
    struct text path = {0};
    add_account(&path, arguments, "balance");
    request_path_add_query(&path, "as_of", argument(arguments, "--as-of"));
    return send_and_free(server, &path, NULL);
}

static int run_history(const struct server *server, const struct arguments *arguments)
{
    struct text path = {0};
    add_account(&path, arguments, "history");
    request_path_add_query(&path, "after_seq", argument(arguments, "--after-seq"));
    request_path_add_query(&path, "limit", argument(arguments, "--limit"));
    return send_and_free(server, &path, NULL);
}

static int run_tx(const struct server *server, const struct arguments *arguments)
{
    struct text path = {0};
    text_add_string(&path, "/v1/transactions/");
    request_path_add_name(&path, arguments->operand);
    return send_and_free(server, &path, NULL);
}

static int run_trial_balance(const struct server *server, const struct arguments *arguments)
{
    struct text path = {0};
    request_path_add_book(&path, argument(arguments, "--book"));
    text_add_string(&path, "/trial-balance");
    request_path_add_query(&path, "as_of", argument(arguments, "--as-of"));
    return send_and_free(server, &path, NULL);
}

static int run_tail(const struct server *server, const struct arguments *arguments)
{
    const char *from = argument(arguments, "--from");
    int64_t first = 1;
    if (from && !parse_number("--from", from, &first))
        return STATUS_USAGE;
    return tail_book(server, argument(arguments, "--book"), first);
}

static int run_completions(const struct arguments *arguments)
{
    if (completions_print(&program, arguments->operand))
        return STATUS_DONE;
    complain("no completions for '%s': bash, zsh or fish", arguments->operand);
    return STATUS_USAGE;
}

/* --- the table --- */

#define FLAG(flag, value, text, ...)                                                                         \
    {                                                                                                        \
        .name = flag, .metavar = value, .help = text, __VA_ARGS__                                            \
    }
#define REQUIRED .required = true
#define REPEATABLE .repeatable = true
#define BOOK FLAG("--book", "BOOK", "name of the book", REQUIRED)
#define PATH FLAG("--path", "PATH", "path of the account", REQUIRED)
#define AS_OF FLAG("--as-of", "TIME", "what it was at that time, RFC 3339")

static const struct flag global_flags[] = {
    FLAG("--url", "URL", "where the ledger is (TALEA_URL; http://127.0.0.1:8080)"),
    FLAG("--token", "TOKEN", "bearer token (better in TALEA_TOKEN)"),
    FLAG("--timeout-secs", "N", "seconds for one try (30)"),
    {0},
};

static const struct command commands[] = {
    {.words = {"asset", "register"},
     .help = "register an asset; again changes nothing",
     .flags = {FLAG("--id", "ID", "id of the asset", REQUIRED),
               FLAG("--class", "CLASS", "class of the asset", .choices = "fiat crypto", REQUIRED),
               FLAG("--network", "NETWORK", "network of a crypto asset"),
               FLAG("--native-id", "ID", "what the network calls the asset"),
               FLAG("--precision", "N", "decimals, 0 to 255", REQUIRED),
               FLAG("--name", "NAME", "name for people", REQUIRED)},
     .ask = run_asset_register},
    {.words = {"account", "open"},
     .help = "open an account; again changes nothing",
     .flags = {BOOK, PATH, FLAG("--asset", "ID", "the asset it holds", REQUIRED),
               FLAG("--kind", "KIND", "kind of the account",
                    .choices = "asset liability income expense equity clearing", REQUIRED),
               FLAG("--normal-side", "SIDE", "side that counts as positive", .choices = "debit credit"),
               FLAG("--min-balance", "MINOR", "refuse posts that leave less, in minor units")},
     .ask = run_account_open},
    {.words = {"post"},
     .help = "post a transaction; the same --idem again answers the first one",
     .flags = {FLAG("--book", "BOOK", "name of the book"),
               FLAG("--idem", "KEY", "idempotency key; required here or in the draft, never made up"),
               FLAG("--debit", "ACCOUNT:ASSET:MINOR", "a debit posting", REPEATABLE),
               FLAG("--credit", "ACCOUNT:ASSET:MINOR", "a credit posting", REPEATABLE),
               FLAG("--occurred-at", "TIME", "time of the business event, RFC 3339"),
               FLAG("--metadata", "JSON", "any JSON value"),
               FLAG("--draft", "FILE", "draft as JSON, - for stdin; flags override it")},
     .ask = run_post},
    {.words = {"balance"},
     .help = "show the balance of an account",
     .flags = {BOOK, PATH, AS_OF},
     .ask = run_balance},
    {.words = {"history"},
     .help = "show the postings of an account",
     .flags = {BOOK, PATH, FLAG("--after-seq", "N", "begin behind this seq"),
               FLAG("--limit", "N", "transactions on the page, 1 to 1000 (100)")},
     .ask = run_history},
    {.words = {"tx"}, .operand = "TX_ID", .help = "show a transaction", .ask = run_tx},
    {.words = {"trial-balance"},
     .help = "show the sums of a book by asset",
     .flags = {BOOK, AS_OF},
     .ask = run_trial_balance},
    {.words = {"tail"},
     .help = "follow the events of a book as JSON lines",
     .flags = {BOOK, FLAG("--from", "N", "the first seq wanted (1)")},
     .ask = run_tail},
    {.words = {"completions"},
     .operand = "SHELL",
     .operand_choices = COMPLETIONS_SHELLS,
     .help = "print completions for a shell",
     .run = run_completions},
};
const struct program program = {
    .name = "talea",
    .summary = "post to a talea ledger and read it",
    .commands = commands,
    .command_count = sizeof commands / sizeof *commands,
    .global_flags = global_flags,
};
