/* talea: the client of a talea ledger. */
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "client/http.h"
#include "client/options.h"
#include "client/status.h"

#define DEFAULT_URL "http://127.0.0.1:8080"
#define DEFAULT_TIMEOUT_S 30

static const char *first_of(const char *flag, const char *variable, const char *fallback)
{
    const char *value = flag ? flag : getenv(variable);
    return value && value[0] ? value : fallback;
}

/* False with one line on stderr. */
static int read_server(const struct arguments *globals, struct server *server, char **url)
{
    const char *timeout = argument(globals, "--timeout-secs");
    server->timeout_s = DEFAULT_TIMEOUT_S;
    if (timeout) {
        char *end;
        server->timeout_s = strtol(timeout, &end, 10);
        if (*end || timeout[0] < '0' || timeout[0] > '9' || server->timeout_s < 1 || server->timeout_s > 86400) {
            complain("--timeout-secs '%s': expected a whole number from 1 to 86400", timeout);
            return STATUS_USAGE;
        }
    }
    *url = strdup(first_of(argument(globals, "--url"), "TALEA_URL", DEFAULT_URL));
    if (!*url)
        return STATUS_USAGE;
    for (size_t n = strlen(*url); n > 0 && (*url)[n - 1] == '/'; n--)
        (*url)[n - 1] = '\0';
    server->url = *url;
    server->token = first_of(argument(globals, "--token"), "TALEA_TOKEN", NULL);
    if (server->token && strpbrk(server->token, "\r\n")) {
        complain("the token holds a line break");
        return STATUS_USAGE;
    }
    return STATUS_DONE;
}

int main(int argc, char **argv)
{
    const struct command *command = NULL;
    struct arguments arguments = {0}, globals = {0};
    struct server server = {0};
    char *url = NULL;
    int status = options_read(argc, argv, &command, &arguments, &globals);
    if (status < 0) {
        status = read_server(&globals, &server, &url);
        if (status == STATUS_DONE) {
            curl_global_init(CURL_GLOBAL_DEFAULT);
            status = command->run(&server, &arguments);
            curl_global_cleanup();
        }
    }
    const char *token = argument(&globals, "--token");
    if (token)
        explicit_bzero((char *)token, strlen(token));
    free((char *)token);
    free(url);
    arguments_free(&arguments);
    arguments_free(&globals);
    return status;
}
