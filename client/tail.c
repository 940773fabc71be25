#include "client/tail.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/sse.h"
#include "client/status.h"

#define FIRST_WAIT_MS 200
#define WAIT_MAX_MS 5000

static volatile sig_atomic_t told_to_stop;

struct tailing {
    unsigned long long last; /* seq printed last */
    bool printed;            /* since the connection was made */
    bool output_closed;
};

static void on_signal(int number)
{
    (void)number;
    told_to_stop = 1;
}

static bool print_event(void *context, const char *id, const struct text *data)
{
    struct tailing *t = context;
    unsigned long long seq = strtoull(id, NULL, 10);
    if (seq <= t->last)
        return true; /* printed before the connection broke */
    if (fwrite(data->base, 1, data->len, stdout) != data->len || putchar('\n') == EOF || fflush(stdout) != 0) {
        t->output_closed = true;
        return false;
    }
    t->last = seq;
    t->printed = true;
    return !told_to_stop;
}

static bool feed(void *context, const char *bytes, size_t n)
{
    return !told_to_stop && sse_read(context, bytes, n);
}

/* One connection, until it breaks. Returns its HTTP status, 0: it broke or never was. */
static int follow(const struct server *server, const char *path, struct tailing *t, struct text *refusal,
                  char problem[static PROBLEM_MAX])
{
    char last[32];
    struct sse_reader reader = {.on_event = print_event, .context = t};
    snprintf(last, sizeof last, "%llu", t->last);
    t->printed = false;
    int status = http_stream(server, path, last, feed, &reader, refusal, problem);
    sse_free(&reader);
    return status;
}

static bool is_final(int status)
{
    return status >= 400 && status < 500 && status != 408 && status != 429;
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

int tail_book(const struct server *server, const char *book, unsigned long long first)
{
    struct sigaction stop = {.sa_handler = on_signal};
    struct tailing t = {.last = first > 0 ? first - 1 : 0};
    struct text path = {0};
    struct answer refusal = {0};
    long wait_ms = FIRST_WAIT_MS;
    bool complained = false;
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    signal(SIGPIPE, SIG_IGN);
    text_add_string(&path, "/v1/books/");
    add_segment(&path, book);
    text_add_string(&path, "/events");
    int result = STATUS_DONE;
    while (!told_to_stop && !t.output_closed) {
        refusal.status = follow(server, path.base, &t, &refusal.body, refusal.problem);
        if (is_final(refusal.status)) {
            result = answer_print(&refusal);
            break;
        }
        if (told_to_stop || t.output_closed)
            break;
        if (t.printed || refusal.status == 200)
            wait_ms = FIRST_WAIT_MS;
        else if (!complained)
            complain("%s; trying again until it answers", refusal.status ? "the ledger is not ready" : refusal.problem);
        complained = !(t.printed || refusal.status == 200);
        pause_ms(wait_ms);
        wait_ms = wait_ms * 2 < WAIT_MAX_MS ? wait_ms * 2 : WAIT_MAX_MS;
    }
    text_free(&path);
    answer_free(&refusal);
    return result;
}
