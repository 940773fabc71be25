#include "server/admin.h"

/*
 * Each finds its ledger, asks over the control socket and prints what it is
 * told. What takes time is asked for again until it is done. `talead books`
 * asks whether the ledger is served, and reads its index.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/exit_status.h"
#include "common/index_reader.h"
#include "common/report.h"
#include "common/rfc3339.h"
#include "server/control_client.h"
#include "server/find_ledger.h"
#include "server/json_text.h"
#include "server/master_commands.h"

#define POLL_MS 50
#define FOLLOW_MS 1000
#define SNAPSHOT_PATIENCE_MS (24 * 3600 * 1000) /* of a ledger that fills a disk */
#define CLEAR_SCREEN "\033[H\033[J"             /* of ECMA-48: home, erase to the end */

struct call {
    const char *name;
    bool json;
    char *data_dir;
    int fd;
};

/* --- asking --- */

static int begin(const char *name, const struct arguments *arguments, struct call *c)
{
    *c = (struct call){.name = name, .json = argument_given(arguments, "--json"), .fd = -1};
    if (find_ledger(arguments, &c->data_dir) != 0)
        return EXIT_STATUS_FAILED;
    return control_connect(c->data_dir, &c->fd) == 0 ? EXIT_STATUS_OK : EXIT_STATUS_FAILED;
}

static void end(struct call *c)
{
    free(c->data_dir);
    if (c->fd > 0)
        close(c->fd);
}

static int failed(const struct call *c, int error)
{
    report_usage_error("%s: the talead of %s went away or does not answer: %s", c->name, c->data_dir, strerror(error));
    return EXIT_STATUS_FAILED;
}

/* `second` may be NULL. Returns the master's exit status, or what failed() says. */
static int ask(struct call *c, const char *first, const char *second, struct buffer *text)
{
    struct control_request request = {.json = c->json, .count = second ? 2 : 1, .word = {bytes_of_string(first)}};
    int status;
    if (second)
        request.word[1] = bytes_of_string(second);
    int error = control_ask(c->fd, &request, &status, text);
    return error ? failed(c, error) : status;
}

static void print(const struct buffer *text, int status)
{
    FILE *out = status == EXIT_STATUS_OK ? stdout : stderr;
    if (text->len == 0)
        return;
    if (out == stderr)
        fputs("talead: ", out);
    fwrite(text->base, 1, text->len, out);
}

/* {"done","messages"}: what the text's lines say, and whether it was done. */
static void print_json(const struct buffer *text, int status)
{
    struct buffer out = {0};
    struct json_text *j = json_text_create(&out);
    json_open_object(j);
    json_key(j, "done");
    json_bool(j, status == EXIT_STATUS_OK);
    json_key(j, "messages");
    json_open_array(j);
    for (size_t at = 0; at < text->len;) {
        const uint8_t *end = memchr(text->base + at, '\n', text->len - at);
        size_t length = end ? (size_t)(end - text->base) - at : text->len - at;
        json_string(j, bytes_of(text->base + at, length));
        at += length + 1;
    }
    json_close_array(j);
    json_close_object(j);
    printf("%.*s\n", (int)out.len, (const char *)out.base);
    json_text_destroy(&j);
    buffer_free(&out);
}

/* What was to be done, and came to its end. */
static int print_outcome(const struct call *c, const struct buffer *text, int status)
{
    if (c->json)
        print_json(text, status);
    else
        print(text, status);
    return fflush(stdout) == 0 ? status : EXIT_STATUS_FAILED;
}

static int ask_and_print(struct call *c, const char *first, const char *second)
{
    struct buffer text = {0};
    int status = ask(c, first, second, &text);
    print(&text, status);
    buffer_free(&text);
    return fflush(stdout) == 0 ? status : EXIT_STATUS_FAILED;
}

/* Asks until the answer is another than "not yet". */
static int ask_until_done(struct call *c, const char *first, const char *second, int patience_ms, struct buffer *text)
{
    int status = ask(c, first, second, text);
    for (; status == STATUS_NOT_YET && patience_ms > 0; patience_ms -= POLL_MS) {
        nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
        buffer_clear(text);
        status = ask(c, first, second, text);
    }
    return status;
}

/* --- the commands --- */

/* Until the server ends, or the reader of the output does. */
static int follow(struct call *c)
{
    bool terminal = isatty(STDOUT_FILENO);
    int status;
    do {
        if (terminal)
            fputs(CLEAR_SCREEN, stdout);
        status = ask_and_print(c, "status", NULL);
        if (status == EXIT_STATUS_OK)
            nanosleep(&(struct timespec){.tv_sec = FOLLOW_MS / 1000}, NULL);
    } while (status == EXIT_STATUS_OK);
    return status;
}

int status_command(const struct arguments *arguments)
{
    struct call c;
    int status = begin("status", arguments, &c);
    if (status == EXIT_STATUS_OK)
        status = argument_given(arguments, "--follow") ? follow(&c) : ask_and_print(&c, "status", NULL);
    end(&c);
    return status;
}

int workers_command(const struct arguments *arguments)
{
    struct call c;
    int status = begin("workers", arguments, &c);
    bool advise = argument_given(arguments, "--advise");
    if (status == EXIT_STATUS_OK && advise && arguments->operand) {
        report_usage_error("workers: --advise changes nothing; leave '%s' away", arguments->operand);
        status = EXIT_STATUS_USAGE;
    } else if (status == EXIT_STATUS_OK) {
        status = ask_and_print(&c, advise ? "advise" : "workers", arguments->operand);
    }
    end(&c);
    return status;
}

/* Has something done, and leaves in `text` what there is to tell. An exit status. */
typedef int order_fn(struct call *c, const struct arguments *arguments, struct buffer *text);

static int give_order(const char *name, const struct arguments *arguments, order_fn *order)
{
    struct call c;
    struct buffer text = {0};
    int status = begin(name, arguments, &c);
    if (status == EXIT_STATUS_OK) {
        status = order(&c, arguments, &text);
        status = print_outcome(&c, &text, status);
    }
    buffer_free(&text);
    end(&c);
    return status;
}

static int reload(struct call *c, const struct arguments *arguments, struct buffer *text)
{
    (void)arguments;
    return ask(c, "reload", NULL, text);
}

int reload_command(const struct arguments *arguments)
{
    return give_order("reload", arguments, reload);
}

static int stop(struct call *c, const struct arguments *arguments, struct buffer *text)
{
    int status = ask(c, "stop", argument_given(arguments, "--fast") ? "fast" : NULL, text);
    if (status == EXIT_STATUS_OK) {
        control_wait_for_end(c->fd);
        buffer_clear(text);
        buffer_append_string(text, "stopped\n");
    }
    return status;
}

int stop_command(const struct arguments *arguments)
{
    return give_order("stop", arguments, stop);
}

/* Orders one, and waits for it. */
static int make_snapshot(struct call *c, const struct arguments *arguments, struct buffer *text)
{
    char order[32];
    (void)arguments;
    int status = ask(c, "snapshot", NULL, text);
    if (status != EXIT_STATUS_OK)
        return status;
    snprintf(order, sizeof order, "%.*s", (int)strcspn((char *)text->base, "\n"), (char *)text->base);
    buffer_clear(text);
    status = ask_until_done(c, "snapshot", order, SNAPSHOT_PATIENCE_MS, text);
    if (status == EXIT_STATUS_OK)
        buffer_append_string(text, "snapshot made\n");
    return status;
}

int snapshot_command(const struct arguments *arguments)
{
    return give_order("snapshot", arguments, make_snapshot);
}

/* --- books --- */

static int print_book(struct index_reader *reader, uint32_t number, bool json, struct json_text *j, struct buffer *out)
{
    struct bytes name;
    struct book_row row;
    char at[RFC3339_TEXT_MAX];
    int error = index_book_name(reader, number, &name);
    if (error == 0)
        error = index_find_book(reader, name, &row);
    if (error)
        return error;
    int at_length = rfc3339_format_us(row.last_at_us, at);
    buffer_clear(out);
    if (json) {
        json_text_restart(j, out);
        json_open_object(j);
        json_field(j, "book", name);
        json_key(j, "events");
        json_unsigned(j, row.last_seq);
        json_field(j, "last_at", bytes_of(at, (size_t)at_length));
        json_close_object(j);
    } else {
        buffer_printf(out, "%12" PRIu64 "  %.*s  ", row.last_seq, at_length, at);
        buffer_append(out, name.base, name.len);
    }
    buffer_append_string(out, "\n");
    fwrite(out->base, 1, out->len, stdout);
    return 0;
}

static int print_books(struct index_reader *reader, bool json)
{
    struct index_meta meta;
    struct buffer out = {0};
    struct json_text *j = json_text_create(&out);
    int error = index_reader_begin(reader, 0);
    if (error == 0)
        error = index_reader_meta(reader, &meta);
    if (error == ENOENT) { /* nothing was ever written */
        meta.book_count = 0;
        error = 0;
    }
    if (error == 0 && !json)
        printf("%12s  %-27s  %s\n", "events", "last at", "book");
    for (uint32_t number = 1; error == 0 && number <= meta.book_count; number++)
        error = print_book(reader, number, json, j, &out);
    index_reader_end(reader);
    json_text_destroy(&j);
    buffer_free(&out);
    return error;
}

int books_command(const struct arguments *arguments)
{
    struct call c;
    struct buffer text = {0};
    struct index_reader *reader = NULL;
    int status = begin("books", arguments, &c);
    if (status == EXIT_STATUS_OK)
        status = ask(&c, "ping", NULL, &text); /* an index that nobody serves may not be opened safely */
    print(&text, status);
    if (status == EXIT_STATUS_OK) {
        int error = index_reader_open(c.data_dir, &reader);
        if (error == 0)
            error = print_books(reader, c.json);
        if (error) {
            report_usage_error("books: cannot read the index in %s: %s", c.data_dir, strerror(error));
            status = EXIT_STATUS_FAILED;
        }
    }
    index_reader_close(&reader);
    buffer_free(&text);
    end(&c);
    return fflush(stdout) == 0 ? status : EXIT_STATUS_FAILED;
}
