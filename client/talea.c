/* talea, the client of a talea ledger: reads the command line and the environment, and runs one command. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#include "client/commands.h"
#include "client/http.h"
#include "client/number.h"
#include "client/status.h"
#include "common/command_line.h"

#define DEFAULT_URL "http://127.0.0.1:8080"
#define DEFAULT_TIMEOUT_S 30
#define TIMEOUT_MAX_S 86400

/* An own copy of a flag's value, or else of the variable's; NULL when neither says anything. */
static char *copy_setting(const char *flag, const char *variable)
{
    const char *value = flag ? flag : getenv(variable);
    if (!value || !value[0])
        return NULL;
    char *copy = strdup(value);
    if (!copy)
        out_of_memory();
    return copy;
}

/* What is on the command line shows in ps until it is overwritten. */
static void hide_tokens(const struct arguments *globals)
{
    for (size_t i = 0; i < globals->count; i++)
        if (strcmp(globals->given[i].flag->name, "--token") == 0)
            memset(globals->given[i].value, 'x', strlen(globals->given[i].value));
}

/* A path is appended to it, so there must be nothing behind its own. */
static bool is_base_url(const char *url)
{
    if (strncasecmp(url, "http://", 7) != 0 && strncasecmp(url, "https://", 8) != 0)
        return false;
    CURLU *parts = curl_url();
    if (!parts)
        out_of_memory();
    bool good = curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK && !strpbrk(url, "?#");
    curl_url_cleanup(parts);
    return good;
}

static int check_url(char *url)
{
    if (!is_base_url(url)) {
        complain("the URL must be like http://host:port or https://host/path (--url, TALEA_URL)");
        return STATUS_USAGE;
    }
    for (size_t n = strlen(url); n > 0 && url[n - 1] == '/'; n--)
        url[n - 1] = '\0';
    return STATUS_DONE;
}

static int check_token(const char *token)
{
    for (const char *c = token; c && *c; c++) {
        if (*c < ' ' || *c > '~') {
            complain("the token holds a character that no token may (--token, TALEA_TOKEN)");
            return STATUS_USAGE;
        }
    }
    return STATUS_DONE;
}

static int read_timeout(const char *value, long *out_s)
{
    int64_t number = DEFAULT_TIMEOUT_S;
    if (value && (!number_parse(value, strlen(value), &number) || number < 1 || number > TIMEOUT_MAX_S)) {
        complain("--timeout-secs '%s': expected a whole number from 1 to %d", value, TIMEOUT_MAX_S);
        return STATUS_USAGE;
    }
    *out_s = (long)number;
    return STATUS_DONE;
}

static int run(const struct command *command, const struct arguments *arguments, const struct server *server)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        out_of_memory();
    int status = command->ask(server, arguments);
    curl_global_cleanup();
    return status;
}

static int run_on_server(const struct command *command, const struct arguments *arguments,
                         const struct arguments *globals)
{
    char *token = copy_setting(argument(globals, "--token"), "TALEA_TOKEN");
    char *url = copy_setting(argument(globals, "--url"), "TALEA_URL");
    struct server server = {.token = token};
    hide_tokens(globals);
    if (!url)
        url = copy_setting(DEFAULT_URL, "");
    server.url = url;
    int status = check_url(url);
    if (status == STATUS_DONE)
        status = check_token(token);
    if (status == STATUS_DONE)
        status = read_timeout(argument(globals, "--timeout-secs"), &server.timeout_s);
    if (status == STATUS_DONE)
        status = run(command, arguments, &server);
    free(url);
    free(token);
    return status;
}

/* A full disk must not look like success. */
static int flush_output(int status)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    complain("cannot write to stdout: %s", errno ? strerror(errno) : "it is closed");
    return status == STATUS_DONE ? STATUS_UNREACHABLE : status;
}

int main(int argc, char **argv)
{
    const struct command *command = NULL;
    struct arguments arguments = {0}, globals = {0};
    int status = command_line_read(&program, argc, argv, &command, &arguments, &globals);
    if (status == COMMAND_LINE_GO_ON)
        status = command->run ? command->run(&arguments) : run_on_server(command, &arguments, &globals);
    arguments_free(&arguments);
    arguments_free(&globals);
    /* tail has written all it had, and a reader that left is no failure of it. */
    return command && strcmp(command->words[0], "tail") == 0 ? status : flush_output(status);
}
