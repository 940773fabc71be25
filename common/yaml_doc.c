/*
 * YAML in two passes over the same text. The first walks libyaml's events and
 * refuses what a settings file has no use for: anchors and aliases (a few
 * lines of them can unfold to gigabytes), deep nesting (the second pass
 * recurses), more than one document. The second lets libyaml build the tree,
 * in which duplicate keys are then looked for.
 *
 * Messages show no text of the file but the name of a key that is given twice.
 */
#include "common/yaml_doc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/exit_status.h"
#include "common/report.h"
#include "common/small_file.h"

#define DEPTH_MAX 16
#define KEY_SHOWN_MAX 40
#define PATH_SHOWN_MAX 300

struct reading {
    const char *path;
    struct complaints *complaints;
};

static int refuse(const struct reading *c, int line, const char *why)
{
    return complaints_add(c->complaints, NULL, c->path, line, "%.*s:%d: %s", PATH_SHOWN_MAX, c->path, line, why);
}

static int refuse_file(const struct reading *c, const char *why)
{
    return complaints_add(c->complaints, NULL, c->path, 0, "%.*s: %s", PATH_SHOWN_MAX, c->path, why);
}

static char *duplicate_string(const char *s)
{
    char *copy = strdup(s);
    if (!copy)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory reading a YAML file");
    return copy;
}

static bool ends_with(const char *s, const char *end)
{
    size_t length = strlen(s), end_length = strlen(end);
    return length >= end_length && strcmp(s + length - end_length, end) == 0;
}

static int refuse_toml(const struct reading *c, const char *toml_path)
{
    return complaints_add(c->complaints, NULL, toml_path, 0,
                          "%.*s: TOML is not read here; `contrib/toml-to-yaml %.*s` prints the same as YAML",
                          PATH_SHOWN_MAX, toml_path, PATH_SHOWN_MAX, toml_path);
}

/* The file is missing: is there one of the same name in TOML, from before? */
static int refuse_missing(const struct reading *c)
{
    static const char *const endings[] = {".yaml", ".yml", ""};
    size_t stem = 0;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        if (ends_with(c->path, endings[i])) {
            stem = strlen(c->path) - strlen(endings[i]);
            break;
        }
    }
    struct buffer toml = {0};
    buffer_append(&toml, c->path, stem);
    buffer_append(&toml, ".toml", sizeof ".toml");
    struct stat st;
    int error = stat((const char *)toml.base, &st) == 0 ? refuse_toml(c, (const char *)toml.base) : ENOENT;
    buffer_free(&toml);
    return error;
}

static int read_text(const struct reading *c, struct buffer *text)
{
    if (ends_with(c->path, ".toml"))
        return refuse_toml(c, c->path);
    int error = small_file_read(c->path, YAML_DOC_MAX_BYTES, text);
    if (error == ENOENT)
        return refuse_missing(c);
    if (error == EFBIG)
        return refuse_file(c, "is larger than 1 MiB");
    if (error)
        return complaints_add(c->complaints, NULL, c->path, 0, "%.*s: cannot be read: %s", PATH_SHOWN_MAX, c->path,
                              strerror(error));
    return 0;
}

static void parser_begin(yaml_parser_t *parser, const struct buffer *text)
{
    if (!yaml_parser_initialize(parser))
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory reading a YAML file");
    yaml_parser_set_input_string(parser, text->base, text->len);
}

static int refuse_syntax(const struct reading *c, const yaml_parser_t *parser)
{
    if (parser->error == YAML_MEMORY_ERROR)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory reading a YAML file");
    const char *problem = parser->problem ? parser->problem : "is no YAML";
    if (parser->error != YAML_READER_ERROR)
        return refuse(c, (int)parser->problem_mark.line + 1, problem);
    return complaints_add(c->complaints, NULL, c->path, 0, "%.*s: %s at byte %zu", PATH_SHOWN_MAX, c->path, problem,
                          parser->problem_offset + 1);
}

struct shape {
    int depth;
    int documents;
};

/* NULL, or why this event is refused. */
static const char *check_event(const yaml_event_t *event, struct shape *shape)
{
    bool anchored = false;
    switch (event->type) {
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        break;
    case YAML_DOCUMENT_START_EVENT:
        if (++shape->documents > 1)
            return "a second document begins; one is wanted";
        break;
    case YAML_ALIAS_EVENT:
        return "aliases are not allowed; write the value again";
    case YAML_SCALAR_EVENT:
        anchored = event->data.scalar.anchor != NULL;
        break;
    case YAML_SEQUENCE_START_EVENT:
        shape->depth++;
        anchored = event->data.sequence_start.anchor != NULL;
        break;
    case YAML_MAPPING_START_EVENT:
        shape->depth++;
        anchored = event->data.mapping_start.anchor != NULL;
        break;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        shape->depth--;
        break;
    }
    if (anchored)
        return "anchors are not allowed; write the value again";
    return shape->depth > DEPTH_MAX ? "is nested too deep (16 levels at most)" : NULL;
}

/* Behind a second document, or in the depths, nothing more is looked for. */
static bool is_beyond(const struct shape *shape)
{
    return shape->documents > 1 || shape->depth > DEPTH_MAX;
}

static int check_shape(const struct reading *c, const struct buffer *text)
{
    yaml_parser_t parser;
    struct shape shape = {0};
    int error = 0;
    bool done = false;
    parser_begin(&parser, text);
    while (!done) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            error = refuse_syntax(c, &parser);
            break;
        }
        const char *why = check_event(&event, &shape);
        if (why)
            error = refuse(c, (int)event.start_mark.line + 1, why);
        done = event.type == YAML_STREAM_END_EVENT || is_beyond(&shape) || complaints_suffice(c->complaints);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return error;
}

/* An empty stream loads as a document without nodes; yaml_doc_close releases either. */
static int load_tree(const struct reading *c, const struct buffer *text, yaml_document_t *document)
{
    yaml_parser_t parser;
    parser_begin(&parser, text);
    int error = yaml_parser_load(&parser, document) ? 0 : refuse_syntax(c, &parser);
    yaml_parser_delete(&parser);
    return error;
}

static int compare_keys(const void *a, const void *b)
{
    const yaml_node_t *one = *(yaml_node_t *const *)a, *other = *(yaml_node_t *const *)b;
    size_t length = one->data.scalar.length, other_length = other->data.scalar.length;
    if (length != other_length)
        return length < other_length ? -1 : 1;
    int order = memcmp(one->data.scalar.value, other->data.scalar.value, length);
    if (order == 0)
        order = one->start_mark.index < other->start_mark.index ? -1 : 1;
    return order;
}

static bool same_key(const yaml_node_t *a, const yaml_node_t *b)
{
    return bytes_equal(bytes_of(a->data.scalar.value, a->data.scalar.length),
                       bytes_of(b->data.scalar.value, b->data.scalar.length));
}

/* A key may be a secret by mistake, so only what looks like a name is shown. */
static int refuse_duplicate(const struct reading *c, const yaml_node_t *key, const yaml_node_t *first)
{
    const char *text = (const char *)key->data.scalar.value;
    size_t name_length = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.");
    char why[160];
    snprintf(why, sizeof why, "key \"%.*s%s\" is given twice, first in line %d",
             name_length < KEY_SHOWN_MAX ? (int)name_length : KEY_SHOWN_MAX, text,
             name_length < key->data.scalar.length || name_length > KEY_SHOWN_MAX ? "..." : "",
             yaml_node_line(first));
    return refuse(c, yaml_node_line(key), why);
}

static void check_mapping(const struct reading *c, yaml_document_t *document, const yaml_node_t *mapping)
{
    size_t count = (size_t)(mapping->data.mapping.pairs.top - mapping->data.mapping.pairs.start), names = 0;
    yaml_node_t **keys = calloc(count + 1, sizeof *keys);
    if (!keys)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory reading a YAML file");
    for (size_t i = 0; i < count && !complaints_suffice(c->complaints); i++) {
        yaml_node_t *key = yaml_document_get_node(document, mapping->data.mapping.pairs.start[i].key);
        if (key->type == YAML_SCALAR_NODE)
            keys[names++] = key;
        else
            refuse(c, yaml_node_line(key), "a key must be a plain name");
    }
    if (!complaints_suffice(c->complaints))
        qsort(keys, names, sizeof *keys, compare_keys);
    for (size_t i = 1; i < names && !complaints_suffice(c->complaints); i++)
        if (same_key(keys[i - 1], keys[i]))
            refuse_duplicate(c, keys[i], keys[i - 1]);
    free(keys);
}

static void check_keys(const struct reading *c, yaml_document_t *document)
{
    for (yaml_node_t *node = document->nodes.start; node < document->nodes.top; node++)
        if (node->type == YAML_MAPPING_NODE && !complaints_suffice(c->complaints))
            check_mapping(c, document, node);
}

int yaml_doc_open_all(const char *path, struct yaml_doc *out, struct complaints *complaints)
{
    struct reading c = {path, complaints};
    struct buffer text = {0};
    int failed = read_text(&c, &text);
    if (!failed)
        failed = check_shape(&c, &text);
    if (!failed)
        failed = load_tree(&c, &text, &out->document);
    small_file_wipe(&text);
    if (failed)
        return failed;
    out->path = duplicate_string(path);
    check_keys(&c, &out->document);
    return 0;
}

int yaml_doc_open(const char *path, struct yaml_doc *out, char *error, size_t error_size)
{
    struct complaints complaints = {.first = error, .first_size = error_size};
    int failed = yaml_doc_open_all(path, out, &complaints);
    if (failed || complaints.count == 0)
        return failed;
    yaml_doc_close(out);
    return EINVAL;
}

void yaml_doc_close(struct yaml_doc *doc)
{
    for (yaml_node_t *node = doc->document.nodes.start; node < doc->document.nodes.top; node++)
        if (node->type == YAML_SCALAR_NODE)
            explicit_bzero(node->data.scalar.value, node->data.scalar.length);
    yaml_document_delete(&doc->document);
    free(doc->path);
    doc->path = NULL;
}

yaml_node_t *yaml_doc_root(struct yaml_doc *doc)
{
    yaml_node_t *root = yaml_document_get_root_node(&doc->document);
    return root && !yaml_node_is_null(root) ? root : NULL;
}

yaml_node_t *yaml_doc_get(struct yaml_doc *doc, yaml_node_t *mapping, const char *key)
{
    if (!mapping || mapping->type != YAML_MAPPING_NODE)
        return NULL;
    yaml_node_pair_t *pair = mapping->data.mapping.pairs.start;
    for (; pair < mapping->data.mapping.pairs.top; pair++) {
        const char *text = yaml_node_text(yaml_doc_node(doc, pair->key));
        if (text && strcmp(text, key) == 0)
            return yaml_doc_node(doc, pair->value);
    }
    return NULL;
}

static bool is_one_of(const char *text, const char *const *known)
{
    while (*known && strcmp(*known, text) != 0)
        known++;
    return *known != NULL;
}

yaml_node_t *yaml_doc_unknown_key(struct yaml_doc *doc, yaml_node_t *mapping, const char *const *known)
{
    yaml_node_pair_t *pair = mapping->data.mapping.pairs.start;
    for (; pair < mapping->data.mapping.pairs.top; pair++) {
        yaml_node_t *key = yaml_doc_node(doc, pair->key);
        const char *text = yaml_node_text(key);
        if (!text || !is_one_of(text, known))
            return key;
    }
    return NULL;
}

yaml_node_t *yaml_doc_node(struct yaml_doc *doc, int index)
{
    return yaml_document_get_node(&doc->document, index);
}

bool yaml_node_is_null(const yaml_node_t *node)
{
    static const char *const spellings[] = {"", "~", "null", "Null", "NULL"};
    const char *text = yaml_node_text(node);
    if (!text || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++)
        if (strcmp(text, spellings[i]) == 0)
            return true;
    return false;
}

const char *yaml_node_text(const yaml_node_t *node)
{
    if (!node || node->type != YAML_SCALAR_NODE)
        return NULL;
    const char *text = (const char *)node->data.scalar.value;
    return strlen(text) == node->data.scalar.length ? text : NULL;
}

int yaml_node_line(const yaml_node_t *node)
{
    return (int)node->start_mark.line + 1;
}
