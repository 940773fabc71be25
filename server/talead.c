/*
 * talead: the table of its commands, and help.
 */
#include <stdio.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/unistd.h>

#include "common/exit_status.h"
#include "common/report.h"
#include "common/settings.h"
#include "server/admin.h"
#include "server/arguments.h"
#include "server/backup.h"
#include "server/dump.h"
#include "server/init.h"
#include "server/master.h"
#include "server/reindex.h"
#include "server/verify.h"

static int serve_command(int argc, char **argv);
static int help_command(int argc, char **argv);

struct command {
    const char *name;
    const char *usage;
    const char *summary;
    const char *details;
    int (*run)(int argc, char **argv); /* argv[0] is the command's name; an exit status */
};

static const struct command commands[] = {
    {"serve", "talead serve [--config FILE]", "serve the ledger",
     "Serves the ledger in the directory that TALEA_DB_URL names until it is told to stop\n"
     "(SIGTERM, SIGINT, SIGQUIT: requests under way are answered first). Settings come from\n"
     "the environment, then .env in the working directory, then the YAML file of --config.\n",
     serve_command},
    {"init", "talead init [--db-url log://DIR] [--seed FILE] [--env-out FILE] [--force]",
     "make a ledger, a token and .env",
     "Makes the data directory, a random token and .env (mode 0600), and applies the seed file\n"
     "(talea.seed.yaml when it is there). Running it again is safe; --force makes a new token.\n",
     init_command},
    {"backup", "talead backup DIR [--incremental] [--db-url log://DIR] [--config FILE]", "copy a ledger, offline or served",
     "Copies the ledger that --db-url names, else TALEA_DB_URL of the environment, .env or the file,\n"
     "to DIR, which talead serve takes as it is: its log up to what is durable, each batch proved on\n"
     "the way, and the newest snapshot. Posts go on meanwhile. DIR must be new or empty; with\n"
     "--incremental it is an earlier backup of this ledger, and what is new is added. Prints the\n"
     "head's chain value, which is worth noting elsewhere: talead verify --expect finds it again.\n",
     backup_command},
    {"verify", "talead verify DIR [--from SNAPSHOT] [--expect HEAD]", "prove a ledger, offline or served",
     "Goes through the log of the ledger in DIR, proves every batch and every event, and holds the\n"
     "index and the spilled idempotency keys against what comes out. Prints one verdict line; exit 0\n"
     "when all is whole, else 1. --expect HEAD: a chain value that was noted elsewhere must be part\n"
     "of this log. --from SNAPSHOT: believe a snapshot (a file, or its name in DIR/snapshots) and\n"
     "begin behind it. The ledger may be served meanwhile.\n",
     verify_command},
    {"dump", "talead dump DIR [--book B] [--from SEQ]", "print a ledger's events",
     "Prints the events of the ledger in DIR as JSON lines, straight from its log and in its order,\n"
     "as the event stream sends them: all, or those of one book, or those whose seq is SEQ or more.\n"
     "The ledger may be served meanwhile.\n",
     dump_command},
    {"status", "talead status [--follow] [--json] [--db-url log://DIR] [--config FILE]", "how a running talead does",
     "Version, head and sizes of the ledger that is served; of each worker its age, connections and\n"
     "rate; of the arbiter its commits and where its time goes; and in one sentence what limits the\n"
     "rate now. Rates and shares are those of the last ten seconds. --follow: again each second.\n",
     status_command},
    {"workers", "talead workers [N|+N|-N] [--advise] [--json] [--db-url log://DIR] [--config FILE]",
     "show or change the number of workers",
     "Without an argument shows the workers. With one changes how many serve, until the next start or\n"
     "a reload that brings another TALEA_WORKERS: new ones take connections at once, leaving ones answer\n"
     "what they have, and clients of event streams are told to come again. --advise says from what was\n"
     "measured whether more would help, and why.\n",
     workers_command},
    {"reload", "talead reload [--db-url log://DIR] [--config FILE]", "read settings and tokens again",
     "Workers with the new settings and tokens take the place of the old, whose event streams end. Names\n"
     "what is changed but takes a restart. With a fault in a file nothing is changed. As SIGHUP.\n",
     reload_command},
    {"stop", "talead stop [--fast] [--db-url log://DIR] [--config FILE]", "stop a running talead",
     "Requests under way are answered first, for as long as TALEA_STOP_TIMEOUT_SECS says; --fast gives\n"
     "them one second. What is acknowledged is durable in either case. Returns when talead has ended.\n",
     stop_command},
    {"snapshot", "talead snapshot [--json] [--db-url log://DIR] [--config FILE]", "make a snapshot of the index now",
     "Returns when it is on stable storage. Posts go on meanwhile.\n", snapshot_command},
    {"books", "talead books [--json] [--db-url log://DIR] [--config FILE]", "list the books of a running talead",
     "Each with its number of events and the time of the last, in the order of their first use; --json:\n"
     "one object in each line.\n",
     books_command},
    {"reindex", "talead reindex DIR", "rebuild what is derived from the log",
     "Throws the index and the spilled idempotency keys of the ledger in DIR away and builds both\n"
     "from the log, all of which it proves on the way. The ledger must not be served meanwhile.\n",
     reindex_command},
    {"help", "talead help [COMMAND]", "explain a command", "", help_command},
};
#define COMMAND_COUNT (sizeof commands / sizeof *commands)

/* NULL: there is none of that name, and it has said so. */
static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    report_usage_error("no command '%s'; talead --help lists them", name);
    return NULL;
}

static void print_overview(FILE *out)
{
    fprintf(out, "talead: a double-entry ledger server\n\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].summary);
    fprintf(out, "\ntalead help COMMAND explains one; talead --version; manual: man talead\n");
}

static void print_settings(FILE *out)
{
    fprintf(out, "\nSettings:\n\n");
    for (size_t i = 0; i < settings_table_count; i++) {
        const struct setting *s = &settings_table[i];
        const char *fallback = s->required ? "required" : s->fallback ? s->fallback : "unset";
        fprintf(out, "  %-26s %s (%s)\n", s->env, s->help,
                s->fallback && strcmp(s->fallback, "cpus") == 0 ? "number of CPUs" : fallback);
    }
}

static void print_help(const struct command *command)
{
    printf("usage: %s\n\n%s", command->usage, command->details);
    if (command->run == serve_command)
        print_settings(stdout);
}

static int help_command(int argc, char **argv)
{
    if (argc < 2) {
        print_overview(stdout);
        return EXIT_STATUS_OK;
    }
    const struct command *command = find_command(argv[1]);
    if (!command)
        return EXIT_STATUS_USAGE;
    print_help(command);
    return EXIT_STATUS_OK;
}

static int serve_command(int argc, char **argv)
{
    const char *config = NULL;
    for (int i = 1; i < argc; i++) {
        if (!argument_value(argc, argv, &i, "--config", &config)) {
            report_usage_error("serve: unexpected '%s'; usage: %s", argv[i], find_command("serve")->usage);
            return EXIT_STATUS_USAGE;
        }
    }
    return master_serve(config);
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (is_help(argv[i]))
            return true;
    return false;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_overview(stderr);
        return EXIT_STATUS_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("talead " PACKAGE_VERSION);
        return EXIT_STATUS_OK;
    }
    if (is_help(argv[1])) {
        print_overview(stdout);
        return EXIT_STATUS_OK;
    }
    const struct command *command = find_command(argv[1]);
    if (!command)
        return EXIT_STATUS_USAGE;
    if (asks_for_help(argc - 1, argv + 1)) {
        print_help(command);
        return EXIT_STATUS_OK;
    }
    return command->run(argc - 1, argv + 1);
}
