#include "server/token.h"

/*
 * The entry is written by libyaml, which quotes what needs it: a name may be
 * `null` or hold a colon. It is indented as it must stand below `tokens:`, so
 * `talead token --scope NAME >> tokens.yaml` adds one.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <unistr.h>
#include <yaml.h>

#include "common/buffer.h"
#include "common/exit_status.h"
#include "common/report.h"
#include "server/json_text.h"
#include "server/new_token.h"

#define BOOKS_MAX 256

struct entry {
    const char *scope; /* NULL: the bare token */
    const char *access;
    struct bytes books[BOOKS_MAX];
    size_t book_count;
    char token[NEW_TOKEN_TEXT_MAX];
};

/* --- the command line --- */

static int wrong(const char *why)
{
    report_usage_error("token: %s", why);
    return EINVAL;
}

static int split_books(const char *list, struct entry *e)
{
    for (const char *at = list, *comma; at; at = comma ? comma + 1 : NULL) {
        comma = strchr(at, ',');
        size_t length = comma ? (size_t)(comma - at) : strlen(at);
        if (length == 0 || e->book_count == BOOKS_MAX)
            return wrong(length == 0 ? "--books has an empty name" : "--books has more than 256 names");
        if (length == 1 && *at == '*' && (comma || at != list))
            return wrong("--books mixes * with names");
        e->books[e->book_count++] = bytes_of(at, length);
    }
    return 0;
}

static int read_arguments(const struct arguments *arguments, struct entry *e)
{
    const char *books = argument(arguments, "--books"), *access = argument(arguments, "--access");
    e->scope = argument(arguments, "--scope");
    e->access = access ? access : "ro";
    if (!e->scope && (books || access))
        return wrong("--books and --access are of an entry, which needs a name: --scope NAME");
    if (e->scope && !e->scope[0])
        return wrong("--scope must not be empty");
    if (strcmp(e->access, "ro") != 0 && strcmp(e->access, "rw") != 0)
        return wrong("--access is ro or rw");
    if (e->scope && (u8_check((const uint8_t *)e->scope, strlen(e->scope)) ||
                     (books && u8_check((const uint8_t *)books, strlen(books)))))
        return wrong("a name is not UTF-8");
    return split_books(books ? books : "*", e);
}

/* --- YAML --- */

struct yaml_out {
    yaml_emitter_t emitter;
    struct buffer text;
    bool failed;
};

static int collect(void *context, unsigned char *bytes, size_t length)
{
    buffer_append(context, bytes, length);
    return 1;
}

/* The emitter takes the event. Behind a failure nothing more is emitted. */
static void emit(struct yaml_out *y, yaml_event_t *event, int made)
{
    if (made && y->failed)
        yaml_event_delete(event);
    else if (!made || !yaml_emitter_emit(&y->emitter, event))
        y->failed = true;
}

/* Every name is quoted: `null`, `1` and `yes` would be something else to some readers. */
static void emit_text(struct yaml_out *y, struct bytes text)
{
    yaml_event_t event;
    emit(y, &event,
         yaml_scalar_event_initialize(&event, NULL, NULL, (yaml_char_t *)text.base, (int)text.len, false, true,
                                      YAML_DOUBLE_QUOTED_SCALAR_STYLE));
}

static void emit_word(struct yaml_out *y, const char *word)
{
    yaml_event_t event;
    emit(y, &event,
         yaml_scalar_event_initialize(&event, NULL, NULL, (yaml_char_t *)word, (int)strlen(word), true, true,
                                      YAML_PLAIN_SCALAR_STYLE));
}

static void emit_mapping(struct yaml_out *y, yaml_mapping_style_t style)
{
    yaml_event_t event;
    emit(y, &event, yaml_mapping_start_event_initialize(&event, NULL, NULL, true, style));
}

static void emit_end_of_mapping(struct yaml_out *y)
{
    yaml_event_t event;
    emit(y, &event, yaml_mapping_end_event_initialize(&event));
}

static void emit_books(struct yaml_out *y, const struct entry *e)
{
    yaml_event_t event;
    emit(y, &event, yaml_sequence_start_event_initialize(&event, NULL, NULL, true, YAML_FLOW_SEQUENCE_STYLE));
    for (size_t i = 0; i < e->book_count; i++)
        emit_text(y, e->books[i]);
    emit(y, &event, yaml_sequence_end_event_initialize(&event));
}

static void emit_entry(struct yaml_out *y, const struct entry *e)
{
    emit_mapping(y, YAML_BLOCK_MAPPING_STYLE);
    emit_word(y, "tokens");
    emit_mapping(y, YAML_BLOCK_MAPPING_STYLE);
    emit_text(y, bytes_of_string(e->scope));
    emit_mapping(y, YAML_FLOW_MAPPING_STYLE);
    emit_word(y, "token");
    emit_text(y, bytes_of_string(e->token));
    emit_word(y, "books");
    emit_books(y, e);
    emit_word(y, "access");
    emit_word(y, e->access);
    emit_end_of_mapping(y);
    emit_end_of_mapping(y);
    emit_end_of_mapping(y);
}

static void emit_document(struct yaml_out *y, const struct entry *e)
{
    yaml_event_t event;
    emit(y, &event, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING));
    emit(y, &event, yaml_document_start_event_initialize(&event, NULL, NULL, NULL, true));
    emit_entry(y, e);
    emit(y, &event, yaml_document_end_event_initialize(&event, true));
    emit(y, &event, yaml_stream_end_event_initialize(&event));
}

/* All behind the line `tokens:`. */
static int print_yaml(const struct entry *e)
{
    static const char head[] = "tokens:\n";
    struct yaml_out y = {.failed = false};
    if (!yaml_emitter_initialize(&y.emitter))
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    yaml_emitter_set_output(&y.emitter, collect, &y.text);
    yaml_emitter_set_unicode(&y.emitter, true);
    yaml_emitter_set_width(&y.emitter, -1);
    emit_document(&y, e);
    yaml_emitter_delete(&y.emitter);
    bool good = !y.failed && y.text.len > strlen(head) && memcmp(y.text.base, head, strlen(head)) == 0;
    if (good)
        fwrite(y.text.base + strlen(head), 1, y.text.len - strlen(head), stdout);
    if (y.text.len)
        explicit_bzero(y.text.base, y.text.len);
    buffer_free(&y.text);
    return good ? 0 : wrong("the entry cannot be written as YAML");
}

/* --- JSON --- */

static int print_json(const struct entry *e)
{
    struct buffer text = {0};
    struct json_text *j = json_text_create(&text);
    json_open_object(j);
    json_field(j, "token", bytes_of_string(e->token));
    if (e->scope) {
        json_field(j, "scope", bytes_of_string(e->scope));
        json_key(j, "books");
        json_open_array(j);
        for (size_t i = 0; i < e->book_count; i++)
            json_string(j, e->books[i]);
        json_close_array(j);
        json_field(j, "access", bytes_of_string(e->access));
    }
    json_close_object(j);
    printf("%.*s\n", (int)text.len, (const char *)text.base);
    explicit_bzero(text.base, text.len);
    json_text_destroy(&j);
    buffer_free(&text);
    return 0;
}

int token_command(const struct arguments *arguments)
{
    struct entry e = {.book_count = 0};
    int error = 0;
    if (read_arguments(arguments, &e) != 0)
        return EXIT_STATUS_USAGE;
    new_token(e.token);
    if (argument_given(arguments, "--json"))
        error = print_json(&e);
    else if (e.scope)
        error = print_yaml(&e);
    else
        puts(e.token);
    explicit_bzero(e.token, sizeof e.token);
    return fflush(stdout) != 0 || error ? EXIT_STATUS_FAILED : EXIT_STATUS_OK;
}
