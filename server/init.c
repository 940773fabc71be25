#include "server/init.h"

/*
 * Safe to run again: the ledger is opened and not made anew, the seed changes
 * nothing that is there, an existing .env stays unless --force. The token is
 * written to .env alone and never shown.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/dotenv.h"
#include "common/durable_file.h"
#include "common/exit_status.h"
#include "common/report.h"
#include "common/settings.h"
#include "server/new_token.h"
#include "server/offline_ledger.h"
#include "server/seed.h"

#define DEFAULT_DB_URL "log://./talea-data"
#define DEFAULT_SEED "talea.seed.yaml"

struct options {
    const char *db_url, *seed, *env_out;
    bool force;
};

/* --db-url, else the environment, else .env as it is, else the default. */
static const char *choose_db_url(const struct options *o, const struct dotenv *env)
{
    const char *url = o->db_url ? o->db_url : getenv("TALEA_DB_URL");
    if (!url)
        url = dotenv_get(env, "TALEA_DB_URL");
    return url ? url : DEFAULT_DB_URL;
}

/* --- the seed --- */

/* 0 with *seed, which is NULL when there is no file by the default name. */
static int read_seed(const struct options *o, struct seed **seed)
{
    char error[512];
    const char *path = o->seed ? o->seed : DEFAULT_SEED;
    int failed = seed_read(path, seed, error, sizeof error);
    if (failed == ENOENT && !o->seed)
        return 0;
    if (failed == ENOENT)
        snprintf(error, sizeof error, "%s: no such file", path);
    if (failed)
        report_usage_error("%s", error);
    return failed;
}

static int apply_seed(const struct seed *seed, struct offline_ledger *ledger)
{
    char error[512];
    struct seed_figures figures;
    if (!seed) {
        puts("seed: no seed file found, skipped");
        return 0;
    }
    int failed = seed_apply(seed, ledger, &figures, error, sizeof error);
    if (failed)
        report_usage_error("%s", error);
    else
        printf("seed: %u assets created, %u already present, %u accounts ensured\n", figures.assets_created,
               figures.assets_present, figures.accounts_ensured);
    return failed;
}

static int make_ledger(const struct settings *settings, const struct seed *seed)
{
    struct offline_ledger *ledger;
    report_set_level(REPORT_WARNING); /* init says what it did in its own words */
    if (offline_ledger_open(settings, INDEX_TRUST, &ledger) != 0)
        return EIO;
    int failed = apply_seed(seed, ledger);
    int closed = offline_ledger_close(&ledger);
    return failed ? failed : closed;
}

/* --- .env --- */

static bool is_ours(const struct dotenv *env, int line)
{
    return line == dotenv_line(env, "TALEA_DB_URL") || line == dotenv_line(env, "TALEA_API_TOKEN") ||
           line == dotenv_line(env, "TALEA_BIND");
}

/* Lines of an existing file that are not ours stay as they are. */
static void keep_other_lines(const char *path, const struct dotenv *env, struct buffer *out)
{
    char *line = NULL;
    size_t room = 0;
    FILE *f = fopen(path, "re");
    if (!f)
        return;
    for (int number = 1; getline(&line, &room, f) > 0; number++) {
        if (is_ours(env, number))
            continue;
        buffer_append_string(out, line);
        if (line[strlen(line) - 1] != '\n')
            buffer_append_string(out, "\n");
    }
    if (line)
        explicit_bzero(line, room);
    free(line);
    fclose(f);
}

static void add_token(struct buffer *out)
{
    char token[NEW_TOKEN_TEXT_MAX];
    new_token(token);
    buffer_printf(out, "TALEA_API_TOKEN=%s\n", token);
    explicit_bzero(token, sizeof token);
}

static int write_env(const struct options *o, const char *db_url, const struct dotenv *env, const char *default_bind)
{
    struct buffer text = {0};
    bool exists = access(o->env_out, F_OK) == 0;
    if (exists && !o->force) {
        printf("%s left untouched (--force makes a new token)\n", o->env_out);
        return 0;
    }
    const char *bind = dotenv_get(env, "TALEA_BIND");
    buffer_printf(&text, "TALEA_DB_URL=%s\nTALEA_BIND=%s\n", db_url, bind ? bind : default_bind);
    add_token(&text);
    keep_other_lines(o->env_out, env, &text);
    int error = durable_replace(o->env_out, buffer_bytes(&text));
    explicit_bzero(text.base, text.len);
    buffer_free(&text);
    if (error)
        report_usage_error("cannot write %s: %s", o->env_out, strerror(error));
    else
        printf("wrote %s\n", o->env_out);
    return error;
}

/* --- all of it --- */

static int init(const struct options *o, const struct dotenv *env)
{
    char error[512];
    const char *db_url = choose_db_url(o, env);
    struct seed *seed = NULL;
    struct settings settings;
    settings_default(&settings);
    settings.log_snapshot_every = 0; /* of a ledger that holds no more than its seed */
    int failed = settings_parse_db_url(db_url, &settings.data_dir, error, sizeof error);
    if (failed)
        report_usage_error("invalid TALEA_DB_URL: %s", error);
    if (failed == 0)
        failed = read_seed(o, &seed);
    if (failed == 0)
        failed = make_ledger(&settings, seed);
    if (failed == 0)
        failed = write_env(o, db_url, env, settings.bind);
    if (failed == 0)
        puts("ready. next: talead serve");
    seed_destroy(&seed);
    settings_free(&settings);
    return failed;
}

int init_command(const struct arguments *arguments)
{
    struct options o = {.db_url = argument(arguments, "--db-url"),
                        .seed = argument(arguments, "--seed"),
                        .env_out = argument(arguments, "--env-out"),
                        .force = argument_given(arguments, "--force")};
    struct dotenv *env;
    char error[512];
    if (!o.env_out)
        o.env_out = ".env";
    int failed = dotenv_read(o.env_out, &env, error, sizeof error);
    if (failed && failed != ENOENT) {
        report_usage_error("%s", error);
        return EXIT_STATUS_FAILED;
    }
    fflush(stdout);
    failed = init(&o, env);
    dotenv_destroy(&env);
    return failed ? EXIT_STATUS_FAILED : EXIT_STATUS_OK;
}
