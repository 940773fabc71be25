/*
 * One worker as a whole: its real event loop and handlers in a thread here, so that what an input covers is seen, over
 * loopback TCP, beside a real arbiter and its ledger. An input is what clients send:
 *
 *   \xff|  what was before goes out by itself, and the worker has seen it, before the rest follows
 *   \xff,  the same within a body: its length goes on
 *   \xff#  the connection is reset; the rest goes over a new one
 *   \xff!  the client says that it sends no more on this connection
 *   \xffL  the length, in digits, of what stands behind the next empty line up to one of |, # and !, or the end
 *   \xffK  eight digits, others each time: a fresh idempotency key
 *   \xffA  the field with a token that may do everything
 *
 * After each step: a request for /health on a connection of its own is answered, nothing stays in flight, every answer
 * is whole HTTP with a status that the contract knows, the arbiter lives. Descriptors stay within a bound; memory is
 * libFuzzer's to watch (-rss_limit_mb). The ledger that is left is whoever runs this to verify ($TALEA_FUZZ_LEDGER).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/border.h"
#include "common/rfc3339.h"
#include "server/tokens.h"
#include "server/worker.h"
#include "tests/fuzz/fuzz.h"

#define TOKEN "s3cret"
#define AUTHORIZATION "Authorization: Bearer " TOKEN
#define PATIENCE_NS 50000000000ull /* the machine may be busy with others */
#define STREAMS_MAX 200 /* a stream whose client was reset is noticed at the next comment, within 10 s */
#define DESCRIPTORS_MAX (2 * STREAMS_MAX + 300)
#define FRESH_KEYS 100000 /* then the same again: the ledger stays small */
#define ANSWER_MAX (8u << 20)

static struct border *border;
static struct settings settings;
static struct tokens *tokens;
static struct sockaddr_in address;
static int listener;
static pid_t arbiter;
static int health = -1; /* a connection that stays */
static char ledger[300];
static bool own_ledger;

/* --- the server --- */

static struct worker_slot *slot(void)
{
    return &border->worker[0];
}

static void *run_worker(void *nothing)
{
    (void)nothing;
    worker_run(border, 0, 1, &settings, tokens, listener, -1);
}

static void make_listener(void)
{
    socklen_t length = sizeof address;
    address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    FUZZ_HOLDS(listener >= 0 && bind(listener, (struct sockaddr *)&address, sizeof address) == 0);
    FUZZ_HOLDS(listen(listener, 512) == 0 && getsockname(listener, (struct sockaddr *)&address, &length) == 0);
}

static void choose_ledger(void)
{
    const char *given = getenv("TALEA_FUZZ_LEDGER"), *tmp = getenv("TMPDIR");
    own_ledger = !given;
    if (given)
        snprintf(ledger, sizeof ledger, "%s", given);
    else
        snprintf(ledger, sizeof ledger, "%s/talea-fuzz-XXXXXX", tmp ? tmp : "/tmp");
    FUZZ_HOLDS(given || mkdtemp(ledger));
}

static void start_arbiter(void)
{
    atomic_store(&slot()->generation, 1);
    atomic_store(&border->slot_count, 1);
    arbiter = fork();
    FUZZ_HOLDS(arbiter >= 0);
    if (arbiter == 0) {
        close(listener);
        arbiter_run(border, &settings);
    }
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

/* The arbiter ends as it does when talead stops; the worker's thread goes with this process. */
static void stop_server(void)
{
    int status;
    atomic_store(&border->arbiter_order, ORDER_DRAIN);
    bell_ring_anyway(&border->arbiter_bell);
    if (waitpid(arbiter, &status, 0) != arbiter || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fprintf(stderr, "the arbiter did not end as it should: status %d\n", status);
    if (own_ledger)
        nftw(ledger, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* --- a client --- */

static int connect_to_worker(void)
{
    static const struct linger reset = {1, 0}; /* no port is left waiting, as thousands a second would be */
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    FUZZ_HOLDS(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    FUZZ_HOLDS(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) == 0);
    return fd;
}

/* What has come by now, or within `wait_ms` when nothing has. False: the other end is closed. */
static bool receive(int fd, int wait_ms, struct buffer *into)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    while (poll(&ready, 1, wait_ms) > 0) {
        ssize_t n = recv(fd, buffer_reserve(into, 65536), 65536, MSG_DONTWAIT);
        if (n <= 0)
            return n < 0 && (errno == EAGAIN || errno == EINTR);
        into->len += (size_t)n;
        wait_ms = 0;
    }
    return true;
}

/* A worker that has answered enough stops reading, so what it says is taken in between. */
static void send_all(int fd, struct bytes bytes, struct buffer *answers)
{
    while (bytes.len > 0) {
        ssize_t n = send(fd, bytes.base, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return; /* it was closed: what it said about that may still be there */
        if (n > 0)
            bytes = bytes_of(bytes.base + n, bytes.len - (size_t)n);
        else if (!receive(fd, 10, answers) || answers->len > ANSWER_MAX)
            return;
    }
}

/* --- what must hold after each step --- */

/* The worker sees what was sent before this no later than this. */
static void check_health(void)
{
    static const char request[] = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
    struct buffer answer = {0};
    uint64_t begun = clock_monotonic_ns();
    while (answer.len == 0) {
        if (health < 0)
            health = connect_to_worker();
        send_all(health, BYTES_LITERAL(request), &answer);
        while (answer.len < 4 || memcmp(answer.base + answer.len - 4, "\r\nok", 4) != 0) {
            FUZZ_HOLDS(clock_monotonic_ns() - begun < PATIENCE_NS);
            if (!receive(health, 100, &answer))
                break;
        }
        if (answer.len == 0) { /* closed after its time between two requests: that is its right */
            close(health);
            health = -1;
        }
    }
    FUZZ_HOLDS(answer.len > 15 && memcmp(answer.base, "HTTP/1.1 200 OK", 15) == 0);
    buffer_free(&answer);
}

static void wait_for(_Atomic uint32_t *gauge, uint32_t most)
{
    uint64_t begun = clock_monotonic_ns();
    for (unsigned turn = 0; atomic_load(gauge) > most; turn++) {
        FUZZ_HOLDS(clock_monotonic_ns() - begun < PATIENCE_NS);
        usleep(turn < 50 ? 20 : 1000);
    }
}

static void settle(void)
{
    check_health();
    wait_for(&slot()->in_flight, 0);
    FUZZ_HOLDS(waitpid(arbiter, NULL, WNOHANG) == 0);
}

static unsigned count_descriptors(void)
{
    unsigned count = 0;
    for (int fd = 0; fd < 4 * DESCRIPTORS_MAX; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static bool is_known_status(unsigned status)
{
    static const unsigned known[] = {100, 200, 204, 400, 401, 403, 404, 405, 408, 409, 413, 415,
                                     417, 429, 431, 501, 503, 505};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i] == status)
            return true;
    return false;
}

/* The value of a field of an answer's head, which is NUL-terminated; NULL: it has none. */
static const char *field_of(const char *head, const char *name)
{
    const char *at = strcasestr(head, name);
    return at ? at + strlen(name) : NULL;
}

/* One answer off the front; false when the rest is none, or not whole, since its connection was ended. */
static bool check_answer(struct bytes *rest, bool any_head)
{
    struct bytes body;
    struct bytes head = fuzz_cut(*rest, "\r\n\r\n", &body);
    if (head.len == rest->len || head.len > 4000)
        return false;
    char text[4096];
    memcpy(text, head.base, head.len);
    text[head.len] = '\0';
    unsigned status = 0;
    FUZZ_HOLDS(sscanf(text, "HTTP/1.1 %3u", &status) == 1 && is_known_status(status));
    const char *length_text = field_of(text, "\r\ncontent-length: ");
    size_t length = length_text ? strtoul(length_text, NULL, 10) : 0;
    bool chunked = field_of(text, "\r\ntransfer-encoding: chunked");
    FUZZ_HOLDS(status < 400 || length_text);
    if (chunked || any_head || length > body.len)
        return false;
    FUZZ_HOLDS(status != 204 || !length_text);
    FUZZ_HOLDS(status < 400 || (length > 10 && memcmp(body.base, "{\"error\":\"", 10) == 0));
    *rest = bytes_of(body.base + length, body.len - length);
    return rest->len > 0;
}

/* Behind a HEAD no length is followed by its body, so then only the first answer is looked at. */
static void check_answers(struct bytes input, struct bytes answers)
{
    struct bytes behind;
    bool any_head = fuzz_cut(input, "HEAD", &behind).len < input.len;
    while (answers.len > 0 && check_answer(&answers, any_head))
        continue;
}

/* --- an input --- */

struct client {
    int fd;
    bool ended; /* it has said that it sends no more */
    struct bytes input;
    struct buffer out, answers;
};

static size_t step_length(struct bytes rest)
{
    size_t n = 0;
    while (n < rest.len && !(rest.base[n] == 0xff && n + 1 < rest.len && memchr("|#!", rest.base[n + 1], 3)))
        n++;
    return n;
}

/* Of what stands behind the next empty line, once it is expanded. */
static size_t body_length(struct bytes rest)
{
    struct bytes body, step = bytes_of(rest.base, step_length(rest));
    (void)fuzz_cut(step, "\r\n\r\n", &body);
    size_t length = body.len;
    for (size_t i = 0; i + 1 < body.len; i++)
        if (body.base[i] == 0xff)
            length += body.base[i + 1] == 'K' ? 6 : body.base[i + 1] == ',' ? -(size_t)2 : 0;
    return length;
}

static void end_step(struct client *c)
{
    if (!c->ended)
        send_all(c->fd, buffer_bytes(&c->out), &c->answers);
    buffer_clear(&c->out);
    settle();
    (void)receive(c->fd, 0, &c->answers);
}

static void end_connection(struct client *c)
{
    check_answers(c->input, buffer_bytes(&c->answers));
    buffer_clear(&c->answers);
    close(c->fd);
}

static void begin_connection(struct client *c)
{
    c->fd = connect_to_worker();
    c->ended = false;
}

/* What stands behind a \xff; true when it was one of the marks above. */
static bool take_mark(struct client *c, uint8_t mark, struct bytes rest)
{
    static unsigned fresh;
    switch (mark) {
    case 'L':
        buffer_printf(&c->out, "%zu", body_length(rest));
        return true;
    case 'K':
        buffer_printf(&c->out, "%08u", fresh++ % FRESH_KEYS);
        return true;
    case 'A':
        buffer_append_string(&c->out, AUTHORIZATION);
        return true;
    case '|':
    case ',':
        end_step(c);
        return true;
    case '#':
        end_step(c);
        end_connection(c);
        begin_connection(c);
        return true;
    case '!':
        end_step(c);
        c->ended = c->ended || shutdown(c->fd, SHUT_WR) == 0;
        settle();
        return true;
    default:
        return false;
    }
}

static void run_input(struct bytes input)
{
    struct client c = {.input = input};
    begin_connection(&c);
    for (size_t i = 0; i < input.len; i++) {
        bool mark = input.base[i] == 0xff && i + 1 < input.len;
        if (mark && take_mark(&c, input.base[i + 1], bytes_of(input.base + i + 2, input.len - i - 2)))
            i++;
        else
            buffer_append(&c.out, &input.base[i], 1);
    }
    end_step(&c);
    end_connection(&c);
    buffer_free(&c.out);
    buffer_free(&c.answers);
}

/* --- the beginning --- */

static void post(const char *path, const char *body)
{
    struct buffer input = {0};
    buffer_printf(&input, "POST %s HTTP/1.1\r\nHost: x\r\n%s\r\n", path, AUTHORIZATION);
    buffer_printf(&input, "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
    run_input(buffer_bytes(&input));
    buffer_free(&input);
}

static void fill_ledger(void)
{
    post("/v1/assets", "{\"id\":\"USD\",\"class\":\"fiat\",\"precision\":2,\"name\":\"US Dollar\"}");
    post("/v1/accounts",
         "{\"book\":\"shop\",\"path\":\"cash\",\"asset\":\"USD\",\"kind\":\"asset\",\"normal_side\":\"debit\"}");
    post("/v1/accounts", "{\"book\":\"shop\",\"path\":\"sales\",\"asset\":\"USD\",\"kind\":\"income\"}");
    post("/v1/accounts",
         "{\"book\":\"shop\",\"path\":\"till\",\"asset\":\"USD\",\"kind\":\"asset\",\"normal_side\":\"debit\","
         "\"min_balance\":0}");
    FUZZ_HOLDS(atomic_load(&border->durable_position) > 0);
}

/* With the first input, since setproctitle(3) writes into what libFuzzer has not read by then. */
static void start_server(void)
{
    pthread_t worker;
    char error[200];
    signal(SIGPIPE, SIG_IGN);
    fuzz_silence_report();
    choose_ledger();
    settings_default(&settings);
    settings.data_dir = ledger;
    FUZZ_HOLDS(tokens_load(TOKEN, NULL, &tokens, error, sizeof error) == 0);
    FUZZ_HOLDS(border_create(&border) == 0);
    make_listener();
    start_arbiter();
    while (atomic_load(&border->arbiter_state) != ARBITER_READY) {
        FUZZ_HOLDS(waitpid(arbiter, NULL, WNOHANG) == 0);
        usleep(1000);
    }
    atexit(stop_server);
    FUZZ_HOLDS(pthread_create(&worker, NULL, run_worker, NULL) == 0);
    fill_ledger();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned inputs;
    if (!border)
        start_server();
    uint8_t *copy = fuzz_copy(bytes_of(data, size));
    run_input(bytes_of(copy, size));
    free(copy);
    wait_for(&slot()->event_streams, STREAMS_MAX);
    if (++inputs % 256 == 0)
        FUZZ_HOLDS(count_descriptors() <= DESCRIPTORS_MAX);
    return 0;
}
