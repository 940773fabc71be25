/*
 * The loop of `talea tail`: connect, print, and when the connection breaks,
 * wait (200 ms, doubling to 5 s, anew from 200 ms once an event came) and
 * connect again behind the last event that was printed. A seq is printed once,
 * whatever the server repeats.
 */
#include "client/tail.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/backoff.h"
#include "client/number.h"
#include "client/request_path.h"
#include "client/sse.h"
#include "client/status.h"

static volatile sig_atomic_t told_to_stop;

struct tailing {
    const struct server *server;
    const char *path;
    int64_t last_seq; /* printed, or not wanted */
    bool has_printed;
    bool has_moved; /* printed over the present connection */
    bool has_complained;
    int sse_error;
    int output_error; /* errno */
    struct sse_reader reader;
};

static void on_signal(int number)
{
    (void)number;
    told_to_stop = 1;
}

static void catch_signals(void)
{
    struct sigaction stop = {.sa_handler = on_signal};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
}

static bool print_line(struct tailing *t, struct text *data)
{
    for (char *lf = data->base; (lf = memchr(lf, '\n', data->len - (size_t)(lf - data->base)));)
        *lf = ' '; /* JSON over several data lines; one event is one line here */
    text_add_string(data, "\n");
    if (fwrite(data->base, 1, data->len, stdout) == data->len && fflush(stdout) == 0)
        return true;
    t->output_error = errno;
    return false;
}

static bool on_event(void *context, const char *id, struct text *data)
{
    struct tailing *t = context;
    int64_t seq;
    if (!number_parse(id, strlen(id), &seq) || seq <= t->last_seq)
        return true;
    if (!print_line(t, data))
        return false;
    t->last_seq = seq;
    t->has_printed = t->has_moved = true;
    return !told_to_stop;
}

static bool on_bytes(void *context, const char *bytes, size_t n)
{
    struct tailing *t = context;
    t->sse_error = sse_read(&t->reader, bytes, n);
    return t->sse_error == 0;
}

/* A reader that is gone is noticed while there is nothing to print, too. */
static bool goes_on(void *context)
{
    struct tailing *t = context;
    struct pollfd output = {.fd = STDOUT_FILENO};
    if (!t->output_error && poll(&output, 1, 0) > 0 && (output.revents & POLLERR))
        t->output_error = EPIPE;
    return !told_to_stop && !t->output_error;
}

static void follow(struct tailing *t, struct answer *answer)
{
    struct stream_sink sink = {on_bytes, goes_on, t};
    char last_event_id[32];
    snprintf(last_event_id, sizeof last_event_id, "%" PRId64, t->last_seq);
    t->reader = (struct sse_reader){.on_event = on_event, .context = t};
    t->has_moved = false;
    http_stream(t->server, t->path, t->has_printed ? last_event_id : NULL, &sink, answer);
    sse_free(&t->reader);
}

/* An answer that will be the same next time. */
static bool is_final(const struct answer *answer)
{
    int status = answer->status;
    if (status == 200)
        return !answer->is_event_stream;
    return answer->is_hopeless || (status > 0 && status < 500 && status != 408 && status != 429);
}

static int print_final(const struct answer *answer)
{
    if (answer->status != 200)
        return answer_print(answer);
    complain("the answer is not an event stream; is the URL right?");
    return STATUS_UNREACHABLE;
}

/* Once for each time the ledger is away. */
static void complain_once(struct tailing *t, const struct answer *answer)
{
    if (t->has_moved || answer->status == 200)
        t->has_complained = false;
    else if (!t->has_complained) {
        if (answer->status)
            complain("the ledger is not ready (HTTP %d); trying again until it is", answer->status);
        else
            complain("%s; trying again until it answers", answer->problem);
        t->has_complained = true;
    }
}

static int follow_for_ever(struct tailing *t, struct answer *answer)
{
    struct backoff backoff = {0};
    while (goes_on(t)) {
        follow(t, answer);
        if (t->sse_error == EMSGSIZE) {
            complain("an event is over %u MiB: not the ledger's; is the URL right?",
                     SSE_EVENT_MAX_BYTES >> 20);
            return STATUS_UNREACHABLE;
        }
        if (!goes_on(t))
            break;
        if (is_final(answer))
            return print_final(answer);
        complain_once(t, answer);
        if (t->has_moved)
            backoff = (struct backoff){0};
        backoff_wait(&backoff, 0);
    }
    if (!t->output_error || t->output_error == EPIPE)
        return STATUS_DONE;
    complain("cannot write the events: %s", strerror(t->output_error));
    return STATUS_UNREACHABLE;
}

int tail_book(const struct server *server, const char *book, int64_t first)
{
    struct text path = {0};
    struct answer answer = {0};
    struct tailing t = {.server = server, .last_seq = first > 0 ? first - 1 : 0};
    catch_signals();
    request_path_add_book(&path, book);
    text_printf(&path, "/events?from=%" PRId64, t.last_seq);
    t.path = path.base;
    int status = follow_for_ever(&t, &answer);
    text_free(&path);
    answer_free(&answer);
    return status;
}
