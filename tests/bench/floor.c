/*
 * The floor: the least that a prefork server of talea's shape can do for a
 * durable post, and nothing more. talea's rate divided by its rate, in the same
 * run on the same machine, says how near talea is to what is possible.
 *
 *   worker: reads HTTP (h2o) and the JSON of a POST (yajl), copies the body to a ring
 *   writer: takes what lies in all rings, one pwrite and one fdatasync, tells the workers
 *   worker: answers as talea answers a post; for a batch, with one such answer for each object in it
 *
 * A GET is answered at once: the empty handler. There is no ledger, no index, no
 * key, no token, no limit, no check of anything. HTTP is h2o's, read by its own
 * parsers; ring and bell are talea's.
 *
 *   floor [--port N] [--workers N] --dir DIR
 *
 * Prints `listening on PORT` when it serves. Ends on SIGTERM, and with its parent.
 */
#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <h2o.h>
#include <h2o/http1.h>
#include <yajl/yajl_parse.h>

#include "common/exit_status.h"
#include "common/report.h"
#include "common/ring.h"
#include "tests/bench/zero_file.h"

#define WORKERS_MAX 64
#define IN_FLIGHT_MAX 4096 /* of one worker */
#define SUBMISSION_BYTES (8u << 20)
#define COMPLETION_BYTES (1u << 20)
#define GROUP_BYTES_MAX (8u << 20)
#define FILE_BYTES (256u << 20)
#define ACCEPTS_PER_ROUND 16
#define VERDICT                                                                                                        \
    "{\"tx_id\":\"0190c8a4-1111-7222-8333-444455556666\",\"seq\":3,\"at\":\"2026-06-04T12:00:00.123456Z\","            \
    "\"deduplicated\":false}"

/* Between one worker and the writer, in shared memory. */
struct lane {
    struct ring_control submissions; /* number of the slot, body */
    struct ring_control completions; /* number of the slot */
    struct bell bell;                /* the worker's */
    uint8_t submission_bytes[SUBMISSION_BYTES];
    uint8_t completion_bytes[COMPLETION_BYTES];
};

static struct floor {
    struct bell bell; /* the writer's */
    uint32_t workers;
    struct lane lanes[WORKERS_MAX];
} *shared;

/* --- a worker --- */

struct slot {
    h2o_req_t *req; /* NULL: its client has gone */
    int32_t items;  /* of a batch; -1: it is none */
};

static struct worker {
    struct lane *lane;
    struct ring submissions, completions;
    struct buffer message;
    struct slot slots[IN_FLIGHT_MAX];
    uint32_t free_slots[IN_FLIGHT_MAX], free_count;
    h2o_globalconf_t config;
    h2o_context_t context;
    h2o_accept_ctx_t accept;
} *me;

static h2o_iovec_t batch_answer(h2o_mem_pool_t *pool, int32_t items)
{
    static const char verdict[] = VERDICT;
    char *base = h2o_mem_alloc_pool(pool, (size_t)items * sizeof verdict + 2), *end = base;
    for (int32_t i = 0; i < items; i++) {
        *end++ = i == 0 ? '[' : ',';
        end = (char *)memcpy(end, verdict, sizeof verdict - 1) + sizeof verdict - 1;
    }
    if (items == 0)
        *end++ = '[';
    *end++ = ']';
    return h2o_iovec_init(base, (size_t)(end - base));
}

static void answer(h2o_req_t *req, int status, int32_t items)
{
    static h2o_generator_t generator;
    h2o_iovec_t body = items < 0 ? h2o_iovec_init(H2O_STRLIT(VERDICT)) : batch_answer(&req->pool, items);
    req->res.status = status;
    req->res.reason = status == 200 ? "OK" : "Refused";
    req->res.content_length = body.len;
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL, H2O_STRLIT("application/json"));
    h2o_start_response(req, &generator);
    h2o_send(req, &body, 1, H2O_SEND_STATE_FINAL);
}

/* What is read of a body: that it is JSON, and how many objects are in its array, if it is one. */
struct look {
    int depth;
    int32_t items;
};

static int on_open_map(void *context)
{
    struct look *look = context;
    if (look->depth++ == 1 && look->items >= 0)
        look->items++;
    return 1;
}

static int on_open_array(void *context)
{
    struct look *look = context;
    if (look->depth++ == 0)
        look->items = 0;
    return 1;
}

static int on_close(void *context)
{
    struct look *look = context;
    look->depth--;
    return 1;
}

static int on_text(void *context, const unsigned char *text, size_t length)
{
    (void)context, (void)text, (void)length;
    return 1;
}

static int on_integer(void *context, long long value)
{
    (void)context, (void)value;
    return 1;
}

static int on_bool(void *context, int value)
{
    (void)context, (void)value;
    return 1;
}

static int on_null(void *context)
{
    (void)context;
    return 1;
}

/* False: it is not JSON. */
static bool read_json(h2o_iovec_t body, int32_t *items)
{
    static const yajl_callbacks callbacks = {
        .yajl_null = on_null,
        .yajl_boolean = on_bool,
        .yajl_integer = on_integer,
        .yajl_string = on_text,
        .yajl_start_map = on_open_map,
        .yajl_map_key = on_text,
        .yajl_end_map = on_close,
        .yajl_start_array = on_open_array,
        .yajl_end_array = on_close,
    };
    struct look look = {.items = -1};
    yajl_handle parser = yajl_alloc(&callbacks, NULL, &look);
    bool good = yajl_parse(parser, (const unsigned char *)body.base, body.len) == yajl_status_ok &&
                yajl_complete_parse(parser) == yajl_status_ok;
    yajl_free(parser);
    *items = look.items;
    return good;
}

static void on_gone(void *memory)
{
    struct slot *slot = *(struct slot **)memory;
    slot->req = NULL;
}

/* False: there is no room. */
static bool submit(h2o_req_t *req, int32_t items)
{
    if (me->free_count == 0)
        return false;
    uint32_t number = me->free_slots[me->free_count - 1];
    buffer_clear(&me->message);
    buffer_append(&me->message, &number, sizeof number);
    buffer_append(&me->message, req->entity.base, req->entity.len);
    if (ring_put(&me->submissions, me->message.base, me->message.len) != 0)
        return false;
    me->free_count--;
    me->slots[number] = (struct slot){req, items};
    struct slot **until = h2o_mem_alloc_shared(&req->pool, sizeof *until, on_gone);
    *until = &me->slots[number];
    bell_ring(&shared->bell);
    return true;
}

static int on_request(h2o_handler_t *handler, h2o_req_t *req)
{
    int32_t items;
    (void)handler;
    if (!h2o_memis(req->method.base, req->method.len, H2O_STRLIT("POST")))
        answer(req, 200, -1);
    else if (!read_json(req->entity, &items))
        answer(req, 400, -1);
    else if (!submit(req, items))
        answer(req, 503, -1);
    return 0;
}

/* Answers what is durable. True: there was something. */
static bool answer_completed(void)
{
    bool any = false;
    uint32_t number;
    buffer_clear(&me->message);
    while (ring_take(&me->completions, &me->message) == 0) {
        memcpy(&number, me->message.base, sizeof number);
        buffer_clear(&me->message);
        struct slot *slot = &me->slots[number];
        if (slot->req)
            answer(slot->req, 200, slot->items);
        *slot = (struct slot){0};
        me->free_slots[me->free_count++] = number;
        any = true;
    }
    return any;
}

static void on_bell(h2o_socket_t *socket, const char *error)
{
    (void)socket, (void)error;
    bell_wake_up(&me->lane->bell);
    answer_completed();
}

static void on_accept(h2o_socket_t *listener, const char *error)
{
    h2o_socket_t *socket;
    for (int i = 0; !error && i < ACCEPTS_PER_ROUND && (socket = h2o_evloop_socket_accept(listener)) != NULL; i++)
        h2o_accept(&me->accept, socket);
}

static void set_up_worker(uint32_t number, int listener_fd)
{
    me = calloc(1, sizeof *me);
    if (!me)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    me->lane = &shared->lanes[number];
    ring_attach_producer(&me->submissions, &me->lane->submissions, me->lane->submission_bytes, SUBMISSION_BYTES);
    ring_attach_consumer(&me->completions, &me->lane->completions, me->lane->completion_bytes, COMPLETION_BYTES);
    for (uint32_t i = 0; i < IN_FLIGHT_MAX; i++)
        me->free_slots[me->free_count++] = i;
    h2o_config_init(&me->config);
    h2o_hostconf_t *host = h2o_config_register_host(&me->config, h2o_iovec_init(H2O_STRLIT("floor")), 65535);
    h2o_create_handler(h2o_config_register_path(host, "/", 0), sizeof(h2o_handler_t))->on_req = on_request;
    h2o_context_init(&me->context, h2o_evloop_create(), &me->config);
    me->accept = (h2o_accept_ctx_t){.ctx = &me->context, .hosts = me->config.hosts};
    h2o_loop_t *loop = me->context.loop;
    h2o_socket_read_start(h2o_evloop_socket_create(loop, listener_fd, H2O_SOCKET_FLAG_DONT_READ), on_accept);
    h2o_socket_read_start(h2o_evloop_socket_create(loop, me->lane->bell.fd, H2O_SOCKET_FLAG_DONT_READ), on_bell);
}

/* The loop looks after a finished write behind its wait only: what was answered outside of it needs a round at once. */
static void serve_forever(void)
{
    for (;;) {
        bell_prepare_sleep(&me->lane->bell);
        bool answered = answer_completed();
        h2o_timeout__do_post_callback(me->context.loop);
        (void)h2o_evloop_run(me->context.loop, answered ? 0 : INT32_MAX);
        atomic_store(&me->lane->bell.asleep, 0);
    }
}

/* --- the writer --- */

static struct ring submissions[WORKERS_MAX], completions[WORKERS_MAX];
static uint32_t taken[WORKERS_MAX][IN_FLIGHT_MAX], taken_count[WORKERS_MAX];

/* All that lies in the rings, up to a bound. True: there was something. */
static bool take_group(struct buffer *group)
{
    buffer_clear(group);
    for (uint32_t i = 0; i < shared->workers; i++) {
        size_t begin = group->len;
        taken_count[i] = 0;
        while (begin < GROUP_BYTES_MAX && ring_take(&submissions[i], group) == 0) {
            memcpy(&taken[i][taken_count[i]++], group->base + begin, sizeof **taken);
            begin = group->len;
        }
    }
    return group->len > 0;
}

static bool all_rings_are_empty(void)
{
    bool empty = true;
    for (uint32_t i = 0; i < shared->workers; i++)
        empty = empty && ring_is_empty(&submissions[i]);
    return empty;
}

static void complete_group(void)
{
    for (uint32_t i = 0; i < shared->workers; i++) {
        for (uint32_t k = 0; k < taken_count[i]; k++) {
            int error = ring_put(&completions[i], &taken[i][k], sizeof **taken);
            assert(error == 0); /* it holds more than a worker has in flight */
        }
        if (taken_count[i] > 0)
            bell_ring(&shared->lanes[i].bell);
    }
}

static void write_forever(int fd)
{
    struct buffer group = {0};
    uint64_t at = 0;
    for (;;) {
        if (!take_group(&group)) {
            bell_prepare_sleep(&shared->bell);
            if (all_rings_are_empty())
                bell_wait(&shared->bell, -1);
            bell_wake_up(&shared->bell);
            continue;
        }
        at = at + group.len > FILE_BYTES ? 0 : at;
        if (pwrite(fd, group.base, group.len, (off_t)at) != (ssize_t)group.len || fdatasync(fd) != 0)
            report_fatal(EXIT_STATUS_COMMIT_FAILED, "cannot write: %s", strerror(errno));
        at += group.len;
        complete_group();
    }
}

/* --- both --- */

static int listen_on(uint16_t port)
{
    static const int yes = 1;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, SOMAXCONN) != 0)
        report_fatal(EXIT_STATUS_FAILED, "cannot listen on 127.0.0.1:%u: %s", port, strerror(errno));
    return fd;
}

static void make_bell(struct bell *bell)
{
    bell->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (bell->fd < 0)
        report_fatal(EXIT_STATUS_FAILED, "eventfd: %s", strerror(errno));
}

static void share(uint32_t workers)
{
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (shared == MAP_FAILED)
        report_fatal(EXIT_STATUS_FAILED, "mmap: %s", strerror(errno));
    shared->workers = workers;
    make_bell(&shared->bell);
    for (uint32_t i = 0; i < workers; i++) {
        struct lane *lane = &shared->lanes[i];
        make_bell(&lane->bell);
        ring_attach_consumer(&submissions[i], &lane->submissions, lane->submission_bytes, SUBMISSION_BYTES);
        ring_attach_producer(&completions[i], &lane->completions, lane->completion_bytes, COMPLETION_BYTES);
    }
}

static void fork_worker(uint32_t number, int listener_fd)
{
    pid_t pid = fork();
    if (pid < 0)
        report_fatal(EXIT_STATUS_FAILED, "fork: %s", strerror(errno));
    if (pid > 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    set_up_worker(number, listener_fd);
    serve_forever();
}

struct options {
    long port;
    long workers;
    const char *dir;
};

static bool read_options(int argc, char **argv, struct options *out)
{
    static const struct option known[] = {{"port", required_argument, NULL, 'p'},
                                          {"workers", required_argument, NULL, 'w'},
                                          {"dir", required_argument, NULL, 'd'},
                                          {0}};
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (option == 'p')
            out->port = atol(optarg);
        else if (option == 'w')
            out->workers = atol(optarg);
        else if (option == 'd')
            out->dir = optarg;
        else
            return false;
    }
    return out->dir && optind == argc && out->port >= 0 && out->port <= UINT16_MAX && out->workers >= 1 &&
           out->workers <= WORKERS_MAX;
}

static uint16_t port_of(int listener_fd)
{
    struct sockaddr_in address = {0};
    socklen_t length = sizeof address;
    getsockname(listener_fd, (struct sockaddr *)&address, &length);
    return ntohs(address.sin_port);
}

int main(int argc, char **argv)
{
    struct options options = {.workers = 2};
    if (!read_options(argc, argv, &options)) {
        fprintf(stderr, "usage: floor [--port N] [--workers 1..%d] --dir DIR\n", WORKERS_MAX);
        return EXIT_STATUS_USAGE;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    signal(SIGPIPE, SIG_IGN);
    int listener_fd = listen_on((uint16_t)options.port);
    int fd = zero_file_open(options.dir, FILE_BYTES);
    share((uint32_t)options.workers);
    for (uint32_t i = 0; i < shared->workers; i++)
        fork_worker(i, listener_fd);
    printf("listening on %u\n", port_of(listener_fd));
    fflush(stdout);
    close(listener_fd);
    write_forever(fd);
}
