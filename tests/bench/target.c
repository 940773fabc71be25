#include "tests/bench/target.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "common/rfc3339.h"
#include "tests/bench/answer.h"
#include "tests/bench/say.h"

#define PATIENCE_S 30
#define PAUSE_NS 20000000
#define ANSWER_ROOM_BYTES (1u << 20)

/* --- where --- */

static int resolve(struct target *t, const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    int failed = getaddrinfo(host, port, &hints, &found);
    if (failed) {
        say("%s: %s", t->url, gai_strerror(failed));
        return EHOSTUNREACH;
    }
    memcpy(&t->address, found->ai_addr, found->ai_addrlen);
    t->address_length = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

/* Splits host:port or [v6]:port; port 80 without one. False: it is neither. */
static bool split(const char *authority, char *host, const char **port)
{
    const char *colon = strrchr(authority, ':'), *bracket = strrchr(authority, ']');
    if (colon && bracket && colon < bracket)
        colon = NULL;
    size_t length = colon ? (size_t)(colon - authority) : strlen(authority);
    bool is_v6 = authority[0] == '[';
    if (length == 0 || length >= TARGET_NAME_MAX || (is_v6 && authority[length - 1] != ']'))
        return false;
    memcpy(host, authority + is_v6, length - 2 * is_v6);
    host[length - 2 * is_v6] = '\0';
    *port = colon ? colon + 1 : "80";
    return true;
}

int target_parse(struct target *t, const char *url)
{
    char host[TARGET_NAME_MAX];
    const char *port;
    size_t length = strlen(url);
    if (length > 0 && url[length - 1] == '/')
        length--;
    bool good = length < sizeof t->url && strncmp(url, "http://", 7) == 0 && length > 7;
    if (good) {
        snprintf(t->url, sizeof t->url, "%.*s", (int)length, url);
        snprintf(t->host, sizeof t->host, "%s", t->url + 7);
        good = !strpbrk(t->host, "/?#@ \r\n") && split(t->host, host, &port);
    }
    if (!good) {
        say("--url must be like http://host:port");
        return EINVAL;
    }
    return resolve(t, host, port);
}

int target_read_token(struct target *t, const char *path)
{
    char token[TOKEN_MAX];
    FILE *file = fopen(path, "re");
    if (!file) {
        int error = errno;
        say("--token-file %s: %s", path, strerror(error));
        return error;
    }
    bool good = fgets(token, sizeof token, file) != NULL;
    fclose(file);
    size_t length = good ? strcspn(token, "\r\n") : 0;
    token[length] = '\0';
    for (size_t i = 0; i < length; i++)
        good = good && token[i] > ' ' && token[i] <= '~';
    if (!good || length == 0) {
        say("--token-file %s: its first line must be the token and nothing else", path);
        return EINVAL;
    }
    snprintf(t->authorization, sizeof t->authorization, "Authorization: Bearer %s\r\n", token);
    return 0;
}

/* --- sockets --- */

static int new_socket(const struct target *t, int flags)
{
    int one = 1, fd = socket(t->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    if (fd >= 0)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static int close_with(int fd, int error)
{
    close(fd);
    errno = error;
    return -1;
}

int target_connect(const struct target *t)
{
    int fd = new_socket(t, SOCK_NONBLOCK);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&t->address, t->address_length) != 0 && errno != EINPROGRESS)
        return close_with(fd, errno);
    return fd;
}

int target_connect_blocking(const struct target *t, int timeout_s)
{
    int fd = new_socket(t, 0);
    struct timeval limit = {.tv_sec = timeout_s};
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(fd, (const struct sockaddr *)&t->address, t->address_length) != 0)
        return close_with(fd, errno);
    return fd;
}

/* --- single questions --- */

static int send_question(int fd, const struct target *t, const char *path, const char *body)
{
    char *request;
    int length = body ? asprintf(&request,
                                 "POST %s HTTP/1.1\r\nHost: %s\r\n%sContent-Type: application/json\r\n"
                                 "Connection: close\r\nContent-Length: %zu\r\n\r\n%s",
                                 path, t->host, t->authorization, strlen(body), body)
                      : asprintf(&request, "GET %s HTTP/1.1\r\nHost: %s\r\n%sConnection: close\r\n\r\n", path,
                                 t->host, t->authorization);
    if (length < 0)
        return ENOMEM;
    ssize_t sent = send(fd, request, (size_t)length, MSG_NOSIGNAL);
    int error = sent == length ? 0 : sent < 0 ? errno : EIO;
    free(request);
    return error;
}

static int read_answer(int fd, int *status, struct text *answer)
{
    struct answer_reader reader = {0};
    char *buffer = need(1, ANSWER_ROOM_BYTES + 1);
    enum answer_state state = ANSWER_GOES_ON;
    size_t length = 0;
    int error = 0;
    while (state == ANSWER_GOES_ON && !error) {
        ssize_t n = recv(fd, buffer + length, ANSWER_ROOM_BYTES - length, 0);
        if (n <= 0) {
            error = n == 0 ? ECONNRESET : errno;
            break;
        }
        length += (size_t)n;
        state = answer_read(&reader, buffer, &length);
    }
    if (!error && state == ANSWER_BROKEN)
        error = EPROTO;
    if (!error) {
        *status = reader.status;
        memmove(buffer, buffer + reader.head_length, reader.body_length);
        buffer[reader.body_length] = '\0';
        *answer = (struct text){buffer, reader.body_length};
        return 0;
    }
    free(buffer);
    return error;
}

static int ask_once(const struct target *t, const char *path, const char *body, int *status, struct text *answer)
{
    int fd = target_connect_blocking(t, PATIENCE_S);
    if (fd < 0)
        return errno;
    int error = send_question(fd, t, path, body);
    if (!error)
        error = read_answer(fd, status, answer);
    close(fd);
    return error;
}

static bool is_to_be_repeated(int status)
{
    return status == 429 || status == 503 || status == 408;
}

int target_ask(const struct target *t, const char *path, const char *body, int *status, struct text *answer)
{
    uint64_t until_ns = clock_monotonic_ns() + PATIENCE_S * UINT64_C(1000000000);
    for (;;) {
        int error = ask_once(t, path, body, status, answer);
        bool again = error ? error != ECONNREFUSED : is_to_be_repeated(*status);
        if (!error && !again)
            return 0;
        if (!again || interrupted || clock_monotonic_ns() > until_ns) {
            if (error && !interrupted)
                say("%s%s: %s; is the server up?", t->url, path, strerror(error));
            return error; /* the last answer's status says that it never let us */
        }
        if (!error)
            free(answer->base);
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
    }
}
