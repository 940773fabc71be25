#include "server/dump.h"

/* In the log's order, all books mixed as they were committed; nothing but the log is asked, so a lost index is no matter. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/event.h"
#include "common/exit_status.h"
#include "common/report.h"
#include "server/event_json.h"
#include "server/log_tour.h"

struct dump {
    const char *data_dir;
    const char *book; /* NULL: all */
    uint64_t from;
    struct fault fault;
    struct json_text *json;
    struct buffer line;
    struct arena *arena;
};

static int read_number(const char *text, uint64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno || *end || text[0] < '0' || text[0] > '9' ? EINVAL : 0;
}

static int read_arguments(const struct arguments *arguments, struct dump *d)
{
    const char *from = argument(arguments, "--from");
    d->data_dir = arguments->operand;
    d->book = argument(arguments, "--book");
    if (from && read_number(from, &d->from) != 0) {
        report_usage_error("dump: --from takes a seq, a whole number");
        return EINVAL;
    }
    return 0;
}

static int print_event(struct dump *d, const struct tour_batch *batch, const struct event *event)
{
    if (event->seq < d->from || (d->book && !bytes_equal(event->book, bytes_of_string(d->book))))
        return 0;
    buffer_clear(&d->line);
    json_text_restart(d->json, &d->line);
    if (event_json(d->json, event, d->arena) != 0)
        return fault_set(&d->fault, "%s: seq %" PRIu64 " in the batch at position %" PRIu64 " is malformed", batch->path,
                         event->seq, batch->header->position);
    buffer_append_string(&d->line, "\n");
    if (fwrite(d->line.base, 1, d->line.len, stdout) != d->line.len)
        return fault_set(&d->fault, "cannot write: %s", strerror(errno));
    return 0;
}

static int print_batch(void *context, const struct tour_batch *batch)
{
    struct dump *d = context;
    struct bytes payload = batch->payload;
    int error = 0;
    while (error == 0 && payload.len > 0) {
        struct event event;
        size_t length;
        if (event_unpack(payload, &event, &length) != 0)
            return fault_set(&d->fault, "%s: an event of the batch at position %" PRIu64 " is malformed", batch->path,
                             batch->header->position);
        error = print_event(d, batch, &event);
        payload.base += length;
        payload.len -= length;
    }
    return error;
}

static int dump(struct dump *d)
{
    struct log_tour tour = {.data_dir = d->data_dir, .fault = &d->fault, .visit = print_batch, .context = d};
    uint64_t end;
    int error = log_tour_find_end(d->data_dir, &end, &d->fault);
    if (error == 0)
        error = log_tour_go(&tour, end);
    if (error == 0 && fflush(stdout) != 0)
        error = fault_set(&d->fault, "cannot write: %s", strerror(errno));
    return error;
}

int dump_command(const struct arguments *arguments)
{
    struct dump d = {.from = 0};
    if (read_arguments(arguments, &d) != 0)
        return EXIT_STATUS_USAGE;
    signal(SIGPIPE, SIG_DFL); /* whoever reads has had enough: a quiet end */
    d.json = json_text_create(&d.line);
    d.arena = arena_create();
    int error = dump(&d);
    if (error)
        report_usage_error("dump: %s", d.fault.text);
    arena_destroy(&d.arena);
    json_text_destroy(&d.json);
    buffer_free(&d.line);
    return error ? EXIT_STATUS_FAILED : EXIT_STATUS_OK;
}
