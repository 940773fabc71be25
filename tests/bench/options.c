/* The table of scenarios and options, and what their values may be. */
#include "tests/bench/options.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/outcomes.h"
#include "tests/bench/plan.h"
#include "tests/bench/plot.h"
#include "tests/bench/say.h"

#define FLAG(flag, value, text, ...)                                                                         \
    {                                                                                                        \
        .name = flag, .metavar = value, .help = text, __VA_ARGS__                                            \
    }

static const struct flag global_flags[] = {
    FLAG("--accounts", "N", "accounts of each book; a draft takes two at random (2)"),
    FLAG("--bare", NULL, "the server takes posts and knows no more of a ledger: no set-up, no verification"),
    FLAG("--batch", "N", "drafts in a request of batch and fill (50)"),
    FLAG("--books", "N", "books that posts go to by turns (1; books: 64)"),
    FLAG("--connections", "N", "connections, each with one request at a time (64; overload: 1024, fill: 4)"),
    FLAG("--dir", "DIR", "where the ledger of an own talead is made (TMPDIR, or /tmp)"),
    FLAG("--events", "N", "transactions to hold before the measuring, or to load (10000; fill: 1000000)"),
    FLAG("--json", NULL, "print one line of JSON"),
    FLAG("--keep", NULL, "leave the ledger of an own talead where it is"),
    FLAG("--no-verify", NULL, "do not compare the ledger with what was answered"),
    FLAG("--path", "PATH", "what empty asks for (/health)"),
    FLAG("--rate", "N", "open loop: so many requests a second over all connections"),
    FLAG("--seconds", "N", "time measured (10)"),
    FLAG("--set", "NAME=VALUE", "a setting of an own talead, as TALEA_WORKERS=2", .repeatable = true),
    FLAG("--subscribers", "N", "event streams of tail (10)"),
    FLAG("--talead", "FILE", "the talead to start (beside this program, or in PATH)"),
    FLAG("--threads", "N", "threads of this program, 1 to 16 (1)"),
    FLAG("--token-file", "FILE", "file with the token for --url"),
    FLAG("--url", "URL", "a server that runs already, http://host:port; without it one is started"),
    FLAG("--warmup", "N", "seconds before the time measured (1)"),
    {0},
};

#define SCENARIO(number, word, text)                                                                         \
    [number] = {                                                                                             \
        .words = {word}, .help = text                                                                        \
    }
/* By enum scenario; behind them what is listed here and read elsewhere. */
#define PLOT SCENARIO_COUNT
#define COMMAND_COUNT (SCENARIO_COUNT + 1)
static const struct command commands[COMMAND_COUNT] = {
    SCENARIO(SCENARIO_POST, "post", "single posts to one book"),
    SCENARIO(SCENARIO_BOOKS, "books", "single posts to many books"),
    SCENARIO(SCENARIO_BATCH, "batch", "batches of drafts"),
    SCENARIO(SCENARIO_BALANCE, "balance", "current balances"),
    SCENARIO(SCENARIO_AS_OF, "as-of", "balances as of times that lie about --events back"),
    SCENARIO(SCENARIO_HISTORY, "history", "pages of 100 postings, one behind the other"),
    SCENARIO(SCENARIO_READ, "read", "balances, balances as of a time, pages, transactions, trial balances"),
    SCENARIO(SCENARIO_MIXED, "mixed", "four reads for each post"),
    SCENARIO(SCENARIO_REPLAY, "replay", "posts whose keys were posted before"),
    SCENARIO(SCENARIO_OVERLOAD, "overload", "twice as many posts as are taken, by a schedule"),
    SCENARIO(SCENARIO_TAIL, "tail", "posts to one book, and streams of its events"),
    SCENARIO(SCENARIO_EMPTY, "empty", "a GET that costs nothing"),
    SCENARIO(SCENARIO_FILL, "fill", "load --events transactions, as fast as it goes"),
    SCENARIO(PLOT, PLOT_WORD, PLOT_HELP),
};
static const struct program program = {
    .name = "talea-bench",
    .summary = "load a talea ledger, measure it, and prove what it answered",
    .commands = commands,
    .command_count = COMMAND_COUNT,
    .global_flags = global_flags,
};

/* A value that is not given stays as it is. */
static int read_number(const struct arguments *g, const char *flag, double least, double most, bool whole,
                       double *out)
{
    const char *value = argument(g, flag);
    char *end = NULL;
    if (!value)
        return 0;
    double n = strtod(value, &end);
    if (end == value || *end != '\0' || !(n >= least && n <= most) || (whole && n != floor(n))) {
        say("%s '%s': expected a%s number from %g to %.0f", flag, value, whole ? " whole" : "", least, most);
        return EINVAL;
    }
    *out = n;
    return 0;
}

static int read_count(const struct arguments *g, const char *flag, uint32_t least, uint32_t most, uint32_t *out)
{
    double n = *out;
    int error = read_number(g, flag, least, most, true, &n);
    *out = (uint32_t)n;
    return error;
}

static int read_counts(const struct arguments *g, struct options *o)
{
    double events = (double)o->events;
    int error = read_count(g, "--accounts", 2, PLAN_ACCOUNTS_MAX, &o->accounts);
    error = error ? error : read_count(g, "--batch", 1, 10000, &o->batch);
    error = error ? error : read_count(g, "--books", 1, PLAN_BOOKS_MAX, &o->books);
    error = error ? error : read_count(g, "--connections", 1, 60000, &o->connections);
    error = error ? error : read_count(g, "--subscribers", 1, 10000, &o->subscribers);
    error = error ? error : read_count(g, "--threads", 1, PLAN_THREADS_MAX, &o->threads);
    error = error ? error : read_number(g, "--events", 1, (double)(1u << 31), true, &events);
    o->events = (uint64_t)events;
    error = error ? error : read_number(g, "--rate", 0.001, 1e8, false, &o->rate);
    error = error ? error : read_number(g, "--seconds", 0.01, 1e6, false, &o->seconds);
    return error ? error : read_number(g, "--warmup", 0, 1e5, false, &o->warmup_s);
}

/* A token on a command line shows in ps; where an own talead listens and what it serves is not to be chosen. */
static int check_set(const char *set)
{
    static const char *const forbidden[] = {"TALEA_API_TOKEN=", "TALEA_TOKENS_FILE=", "TALEA_DB_URL=", "TALEA_BIND="};
    const char *equals = strchr(set, '=');
    if (!equals || strncmp(set, "TALEA_", 6) != 0) {
        say("--set '%s': expected a setting from the environment, as TALEA_WORKERS=2", set);
        return EINVAL;
    }
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++)
        if (strncmp(set, forbidden[i], strlen(forbidden[i])) == 0) {
            say("--set %.*s: not for a talead that is started here; use --url", (int)(equals - set), set);
            return EINVAL;
        }
    return 0;
}

static int read_sets(const struct arguments *g, struct options *o)
{
    size_t count = 0;
    for (size_t i = 0; i < g->count; i++) {
        if (strcmp(g->given[i].flag->name, "--set") != 0)
            continue;
        if (count == SETS_MAX) {
            say("--set is given more than %d times", SETS_MAX);
            return EINVAL;
        }
        o->set[count++] = g->given[i].value;
        int error = check_set(g->given[i].value);
        if (error)
            return error;
    }
    return 0;
}

static int check_together(const struct options *o)
{
    static const bool needs_no_ledger[SCENARIO_COUNT] = {
        [SCENARIO_POST] = true, [SCENARIO_BOOKS] = true, [SCENARIO_BATCH] = true, [SCENARIO_EMPTY] = true};
    if (o->path[0] != '/' || strpbrk(o->path, " \r\n") || strlen(o->path) > 400)
        say("--path must begin with / and hold no space");
    else if (o->bare && !needs_no_ledger[o->scenario])
        say("--bare is for post, books, batch and empty: %s needs a ledger", o->name);
    else if (o->token_file && !o->url)
        say("--token-file needs --url: a talead that is started here takes no token");
    else if (o->url && (o->talead || o->keep || o->set[0] || o->dir))
        say("--talead, --dir, --set and --keep are for a talead that is started here, not with --url");
    else if (o->scenario == SCENARIO_FILL && (o->rate > 0 || o->events / o->threads > OUTCOMES_MAX - (1u << 20)))
        say("fill takes no --rate, and at most 66 million --events for each of the --threads");
    else
        return 0;
    return EINVAL;
}

static void set_defaults(struct options *o, enum scenario scenario)
{
    *o = (struct options){
        .scenario = scenario,
        .name = commands[scenario].words[0],
        .connections = scenario == SCENARIO_OVERLOAD ? 1024 : scenario == SCENARIO_FILL ? 4 : 64,
        .books = scenario == SCENARIO_BOOKS ? 64 : 1,
        .accounts = 2,
        .batch = 50,
        .threads = 1,
        .subscribers = 10,
        .events = scenario == SCENARIO_FILL ? 1000000 : 10000,
        .seconds = 10,
        .warmup_s = 1,
        .path = "/health",
    };
}

static void take_words(const struct arguments *g, struct options *o)
{
    o->url = argument(g, "--url");
    o->token_file = argument(g, "--token-file");
    o->talead = argument(g, "--talead");
    o->dir = argument(g, "--dir");
    o->path = argument(g, "--path") ? argument(g, "--path") : o->path;
    o->json = argument_given(g, "--json");
    o->keep = argument_given(g, "--keep");
    o->bare = argument_given(g, "--bare");
    o->no_verify = argument_given(g, "--no-verify");
}

int options_read(int argc, char **argv, struct options *o, struct arguments *arguments, struct arguments *globals)
{
    const struct command *command = NULL;
    int status = command_line_read(&program, argc, argv, &command, arguments, globals);
    if (status != COMMAND_LINE_GO_ON)
        return status;
    if (command == &commands[PLOT]) {
        say("plot comes first, and has options of its own; see talea-bench help plot");
        return COMMAND_LINE_WRONG;
    }
    set_defaults(o, (enum scenario)(command - commands));
    take_words(globals, o);
    bool wrong = read_counts(globals, o) != 0 || read_sets(globals, o) != 0 || check_together(o) != 0;
    if (wrong)
        return COMMAND_LINE_WRONG;
    o->threads = o->threads > o->connections ? o->connections : o->threads;
    return COMMAND_LINE_GO_ON;
}
