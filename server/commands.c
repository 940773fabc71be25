#include "server/commands.h"

#include <stdio.h>
#include <string.h>

#include "common/completions.h"
#include "common/exit_status.h"
#include "common/report.h"
#include "common/settings.h"
#include "server/admin.h"
#include "server/backup.h"
#include "server/check_config.h"
#include "server/dump.h"
#include "server/find_ledger.h"
#include "server/init.h"
#include "server/master.h"
#include "server/reindex.h"
#include "server/token.h"
#include "server/verify.h"

/* --- commands that are no more than this --- */

static int serve_command(const struct arguments *arguments)
{
    return master_serve(argument(arguments, "--config"));
}

static void explain_settings(void)
{
    printf("\nSettings:\n\n");
    for (size_t i = 0; i < settings_table_count; i++) {
        const struct setting *s = &settings_table[i];
        const char *fallback = s->required ? "required" : s->fallback ? s->fallback : "unset";
        printf("  %-26s %s (%s)\n", s->env, s->help,
               s->fallback && strcmp(s->fallback, "cpus") == 0 ? "number of CPUs" : fallback);
    }
}

static int completions_command(const struct arguments *arguments)
{
    if (!completions_print(&program, arguments->operand)) {
        report_usage_error("no completions for '%s': bash, zsh or fish", arguments->operand);
        return EXIT_STATUS_USAGE;
    }
    return fflush(stdout) != 0 ? EXIT_STATUS_FAILED : EXIT_STATUS_OK;
}

/* --- the table --- */

static const struct flag global_flags[] = {{0}};

#define FLAG(flag, value, text)                                                                              \
    {                                                                                                        \
        .name = flag, .metavar = value, .help = text                                                         \
    }
#define SWITCH(flag, text) FLAG(flag, NULL, text)
#define JSON_SWITCH SWITCH("--json", "print for programs")

static const struct command commands[] = {
    {.words = {"serve"},
     .help = "serve the ledger",
     .details = "Serves the ledger in the directory that TALEA_DB_URL names until it is told to stop\n"
                "(SIGTERM, SIGQUIT: requests under way are answered first; SIGINT: fast). Settings come from\n"
                "the environment, then .env in the working directory, then the YAML file of --config.",
     .flags = {FLAG("--config", "FILE", "YAML file of settings")},
     .explain = explain_settings,
     .run = serve_command},
    {.words = {"init"},
     .help = "make a ledger, a token and .env",
     .details = "Makes the data directory, a random token and .env (mode 0600), and applies the seed file\n"
                "(talea.seed.yaml when it is there). Running it again is safe; --force makes a new token.",
     .flags = {FLAG("--db-url", "URL", "where it is to be, log://DIR"), FLAG("--seed", "FILE", "the seed file"),
               FLAG("--env-out", "FILE", "written in place of .env"),
               SWITCH("--force", "make a new token, and keep what else is in .env")},
     .run = init_command},
    {.words = {"backup"},
     .operand = "DIR",
     .help = "copy a ledger, offline or served",
     .details = "Copies the ledger that --db-url names, else TALEA_DB_URL of the environment, .env or the file,\n"
                "to DIR, which talead serve takes as it is: its log up to what is durable, each batch proved on\n"
                "the way, and the newest snapshot. Posts go on meanwhile. DIR must be new or empty; with\n"
                "--incremental it is an earlier backup of this ledger, and what is new is added. Prints the\n"
                "head's chain value, which is worth noting elsewhere: talead verify --expect finds it again.",
     .flags = {SWITCH("--incremental", "add what is new to an earlier backup"), JSON_SWITCH, LEDGER_FLAGS},
     .run = backup_command},
    {.words = {"verify"},
     .operand = "DIR",
     .help = "prove a ledger, offline or served",
     .details = "Goes through the log of the ledger in DIR, proves every batch and every event, and holds the\n"
                "index and the spilled idempotency keys against what comes out. Prints one verdict line; exit 0\n"
                "when all is whole, else 1. The ledger may be served meanwhile.",
     .flags = {FLAG("--from", "SNAPSHOT", "believe a snapshot, file or name in DIR/snapshots, and begin behind it"),
               FLAG("--expect", "HEAD", "a chain value that was noted elsewhere and must be part of this log")},
     .run = verify_command},
    {.words = {"dump"},
     .operand = "DIR",
     .help = "print the events of a ledger",
     .details = "Prints the events of the ledger in DIR as JSON lines, straight from its log and in its order,\n"
                "as the event stream sends them. The ledger may be served meanwhile.",
     .flags = {FLAG("--book", "BOOK", "those of this book alone"),
               FLAG("--from", "SEQ", "those whose seq is SEQ or more")},
     .run = dump_command},
    {.words = {"reindex"},
     .operand = "DIR",
     .help = "rebuild what is derived from the log",
     .details = "Throws the index and the spilled idempotency keys of the ledger in DIR away and builds both\n"
                "from the log, all of which it proves on the way. The ledger must not be served meanwhile.",
     .run = reindex_command},
    {.words = {"status"},
     .help = "show how a running talead does",
     .details = "Version, head and sizes of the ledger that is served; of each worker its age, connections and\n"
                "rate; of the arbiter its commits and where its time goes; and in one sentence what limits the\n"
                "rate now. Rates and shares are those of the last ten seconds.",
     .flags = {SWITCH("--follow", "again each second"), JSON_SWITCH, LEDGER_FLAGS},
     .run = status_command},
    {.words = {"workers"},
     .operand = "N",
     .operand_optional = true,
     .help = "show or change the number of workers",
     .details = "Without N shows the workers. With it changes how many serve (4, +1, -1), until the next start or\n"
                "a reload that brings another TALEA_WORKERS: new ones take connections at once, leaving ones\n"
                "answer what they have, and clients of event streams are told to come again.",
     .flags = {SWITCH("--advise", "say from what was measured whether more would help, and why"), JSON_SWITCH,
               LEDGER_FLAGS},
     .run = workers_command},
    {.words = {"reload"},
     .help = "read settings and tokens again",
     .details = "Workers with the new settings and tokens take the place of the old, whose event streams end. Names\n"
                "what is changed but takes a restart. With a fault in a file nothing is changed. As SIGHUP.",
     .flags = {JSON_SWITCH, LEDGER_FLAGS},
     .run = reload_command},
    {.words = {"stop"},
     .help = "stop a running talead",
     .details = "Requests under way are answered first, for as long as TALEA_STOP_TIMEOUT_SECS says. What is\n"
                "acknowledged is durable in either case. Returns when talead has ended.",
     .flags = {SWITCH("--fast", "give requests under way one second"), JSON_SWITCH, LEDGER_FLAGS},
     .run = stop_command},
    {.words = {"snapshot"},
     .help = "make a snapshot of the index now",
     .details = "Returns when it is on stable storage. Posts go on meanwhile.",
     .flags = {JSON_SWITCH, LEDGER_FLAGS},
     .run = snapshot_command},
    {.words = {"books"},
     .help = "list the books of a running talead",
     .details = "Each with its number of events and the time of the last, in the order of their first use.",
     .flags = {JSON_SWITCH, LEDGER_FLAGS},
     .run = books_command},
    {.words = {"check-config"},
     .help = "look for faults in the settings",
     .details = "Reads what talead serve would read (environment, .env, the file of --config, the tokens file)\n"
                "and says every fault with its file and line. The ledger may be served meanwhile. Exit 0 and\n"
                "one line when a start would take it all, else 1.",
     .flags = {FLAG("--config", "FILE", "YAML file of settings"),
               SWITCH("--verbose", "print each value that is no default, and where it stands"), JSON_SWITCH},
     .run = check_config_command},
    {.words = {"token"},
     .help = "make a token",
     .details = "Prints a new random token of 64 hex digits. With --scope it is an entry for the tokens file,\n"
                "indented to stand below its line `tokens:`.",
     .flags = {FLAG("--scope", "NAME", "name of the entry"),
               FLAG("--books", "BOOKS", "books it is for, with commas between them, or * for all (*)"),
               {.name = "--access",
                .metavar = "ACCESS",
                .help = "may it write, rw, or read alone (ro)",
                .choices = "rw ro"},
               JSON_SWITCH},
     .run = token_command},
    {.words = {"completions"},
     .operand = "SHELL",
     .operand_choices = COMPLETIONS_SHELLS,
     .help = "print completions for a shell",
     .run = completions_command},
};

const struct program program = {
    .name = "talead",
    .summary = "a double-entry ledger server",
    .commands = commands,
    .command_count = sizeof commands / sizeof *commands,
    .global_flags = global_flags,
};
