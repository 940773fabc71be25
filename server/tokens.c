#include "server/tokens.h"

/*
 * Tokens are kept as their SHA-256; a request's token is hashed and compared
 * with every one of them, so time tells neither which matched nor how long
 * any is. An attacker who could choose digests would have broken SHA-256.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/crypto.h>

#include "common/digest.h"
#include "common/exit_status.h"
#include "common/report.h"
#include "common/yaml_doc.h"

struct scope {
    char *name; /* of the entry, for messages */
    struct sha256 digest;
    bool all_books;
    bool may_write;
    char **books;
    size_t book_count;
};

struct tokens {
    struct scope *scopes;
    size_t count;
};

/* In open mode everybody has it. */
static const struct scope open_scope = {.all_books = true, .may_write = true};

/* What is needed to say where a fault is. */
struct loading {
    struct yaml_doc doc;
    struct tokens *tokens;
    struct complaints *complaints;
};

static void *must(void *p)
{
    if (!p)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory while reading tokens");
    return p;
}

static struct sha256 digest_of(const char *token, size_t length)
{
    struct bytes part = bytes_of(token, length);
    return sha256_of(&part, 1);
}

static struct scope *add_scope(struct tokens *tokens, const char *name)
{
    tokens->scopes = must(realloc(tokens->scopes, (tokens->count + 1) * sizeof *tokens->scopes));
    struct scope *scope = &tokens->scopes[tokens->count++];
    *scope = (struct scope){.name = must(strdup(name))};
    return scope;
}

static void fault(struct loading *l, const yaml_node_t *node, const char *entry, const char *what)
{
    int line = yaml_node_line(node);
    complaints_add(l->complaints, "TALEA_TOKENS_FILE", l->doc.path, line, "%s:%d: token entry '%s': %s", l->doc.path,
                   line, entry, what);
}

static const struct scope *twin_of(const struct tokens *tokens, const struct scope *scope)
{
    for (size_t i = 0; i < tokens->count; i++)
        if (&tokens->scopes[i] != scope &&
            CRYPTO_memcmp(&tokens->scopes[i].digest, &scope->digest, sizeof scope->digest) == 0)
            return &tokens->scopes[i];
    return NULL;
}

static void read_token(struct loading *l, yaml_node_t *node, yaml_node_t *entry, struct scope *scope)
{
    const char *text = node ? yaml_node_text(node) : NULL;
    if (!text || text[0] == '\0' || yaml_node_is_null(node)) {
        fault(l, node ? node : entry, scope->name, node ? "the token is empty or no string" : "lacks 'token'");
        return;
    }
    scope->digest = digest_of(text, strlen(text));
    const struct scope *twin = twin_of(l->tokens, scope);
    if (twin) {
        char what[160];
        snprintf(what, sizeof what, "the same token as '%.100s'", twin->name);
        fault(l, node, scope->name, what);
    }
}

static void read_access(struct loading *l, yaml_node_t *node, yaml_node_t *entry, struct scope *scope)
{
    const char *text = node ? yaml_node_text(node) : NULL;
    if (!text || (strcmp(text, "ro") != 0 && strcmp(text, "rw") != 0))
        fault(l, node ? node : entry, scope->name, "access must be 'ro' or 'rw'");
    else
        scope->may_write = strcmp(text, "rw") == 0;
}

static void add_book(struct loading *l, yaml_node_t *item, struct scope *scope)
{
    const char *text = yaml_node_text(item);
    if (!text || text[0] == '\0' || yaml_node_is_null(item)) {
        fault(l, item, scope->name, "a book must be a non-empty string");
        return;
    }
    if (strcmp(text, "*") == 0)
        scope->all_books = true;
    scope->books = must(realloc(scope->books, (scope->book_count + 1) * sizeof *scope->books));
    scope->books[scope->book_count++] = must(strdup(text));
}

static void read_books(struct loading *l, yaml_node_t *node, yaml_node_t *entry, struct scope *scope)
{
    if (!node || node->type != YAML_SEQUENCE_NODE || node->data.sequence.items.top == node->data.sequence.items.start) {
        fault(l, node ? node : entry, scope->name, "books must be a list of at least one name, or [\"*\"]");
        return;
    }
    for (yaml_node_item_t *i = node->data.sequence.items.start; i < node->data.sequence.items.top; i++)
        add_book(l, yaml_doc_node(&l->doc, *i), scope);
    if (scope->all_books && scope->book_count > 1)
        fault(l, node, scope->name, "books mixes \"*\" with names");
}

static void read_entry(struct loading *l, yaml_node_t *key, yaml_node_t *entry)
{
    static const char *const keys[] = {"token", "books", "access", NULL};
    const char *name = yaml_node_text(key);
    if (!name || name[0] == '\0' || entry->type != YAML_MAPPING_NODE) {
        if (!name || name[0] == '\0')
            fault(l, key, "", "has no name");
        else
            fault(l, entry, name, "must be a mapping with token, books and access");
        return;
    }
    const yaml_node_t *unknown = yaml_doc_unknown_key(&l->doc, entry, keys);
    if (unknown)
        fault(l, unknown, name, "knows only the keys token, books and access");
    struct scope *scope = add_scope(l->tokens, name);
    read_token(l, yaml_doc_get(&l->doc, entry, "token"), entry, scope);
    read_books(l, yaml_doc_get(&l->doc, entry, "books"), entry, scope);
    read_access(l, yaml_doc_get(&l->doc, entry, "access"), entry, scope);
}

static void read_document(struct loading *l)
{
    yaml_node_t *root = yaml_doc_root(&l->doc);
    yaml_node_t *entries = root && root->type == YAML_MAPPING_NODE ? yaml_doc_get(&l->doc, root, "tokens") : NULL;
    if (!entries || entries->type != YAML_MAPPING_NODE ||
        entries->data.mapping.pairs.top == entries->data.mapping.pairs.start ||
        root->data.mapping.pairs.top - root->data.mapping.pairs.start != 1) {
        complaints_add(l->complaints, "TALEA_TOKENS_FILE", l->doc.path, root ? yaml_node_line(root) : 0,
                       "%s: must hold one mapping 'tokens' with at least one entry", l->doc.path);
        return;
    }
    yaml_node_pair_t *p = entries->data.mapping.pairs.start;
    for (; p < entries->data.mapping.pairs.top && !complaints_suffice(l->complaints); p++)
        read_entry(l, yaml_doc_node(&l->doc, p->key), yaml_doc_node(&l->doc, p->value));
}

static void read_file(struct tokens *tokens, const char *path, struct complaints *complaints)
{
    struct loading l = {.tokens = tokens, .complaints = complaints};
    int failed = yaml_doc_open_all(path, &l.doc, complaints);
    if (failed == ENOENT)
        complaints_add(complaints, "TALEA_TOKENS_FILE", path, 0, "%s: no such file (TALEA_TOKENS_FILE)", path);
    if (failed)
        return;
    if (!complaints_suffice(complaints))
        read_document(&l);
    yaml_doc_close(&l.doc);
}

static struct tokens *read_all(const char *api_token, const char *tokens_file, struct complaints *complaints)
{
    struct tokens *tokens = must(calloc(1, sizeof *tokens));
    if (api_token) {
        struct scope *scope = add_scope(tokens, "TALEA_API_TOKEN");
        scope->digest = digest_of(api_token, strlen(api_token));
        scope->all_books = scope->may_write = true;
    }
    if (tokens_file)
        read_file(tokens, tokens_file, complaints);
    return tokens;
}

int tokens_load(const char *api_token, const char *tokens_file, struct tokens **out, char *error, size_t error_size)
{
    struct complaints complaints = {.first = error, .first_size = error_size};
    *out = read_all(api_token, tokens_file, &complaints);
    if (complaints.count == 0)
        return 0;
    tokens_destroy(out);
    return EINVAL;
}

unsigned tokens_check(const char *api_token, const char *tokens_file, struct complaints *complaints)
{
    struct tokens *tokens = read_all(api_token, tokens_file, complaints);
    unsigned count = (unsigned)tokens->count;
    tokens_destroy(&tokens);
    return count;
}

void tokens_destroy(struct tokens **tokens)
{
    if (!*tokens)
        return;
    for (size_t i = 0; i < (*tokens)->count; i++) {
        struct scope *scope = &(*tokens)->scopes[i];
        for (size_t b = 0; b < scope->book_count; b++)
            free(scope->books[b]);
        free(scope->books);
        free(scope->name);
        explicit_bzero(&scope->digest, sizeof scope->digest);
    }
    free((*tokens)->scopes);
    free(*tokens);
    *tokens = NULL;
}

bool tokens_open_mode(const struct tokens *tokens)
{
    return tokens->count == 0;
}

/* The token of "Bearer <token>"; base NULL when it is none. */
static struct bytes bearer_token(struct bytes authorization)
{
    static const char scheme[] = "bearer";
    const size_t length = sizeof scheme - 1;
    if (authorization.len <= length || strncasecmp((const char *)authorization.base, scheme, length) != 0 ||
        authorization.base[length] != ' ')
        return bytes_of(NULL, 0);
    size_t begin = length;
    while (begin < authorization.len && authorization.base[begin] == ' ')
        begin++;
    return bytes_of(authorization.base + begin, authorization.len - begin);
}

const struct scope *tokens_find(const struct tokens *tokens, struct bytes authorization)
{
    if (tokens_open_mode(tokens))
        return &open_scope;
    struct bytes token = bearer_token(authorization);
    const struct scope *found = NULL;
    if (!token.base)
        return NULL;
    struct sha256 digest = digest_of((const char *)token.base, token.len);
    for (size_t i = 0; i < tokens->count; i++)
        if (CRYPTO_memcmp(&tokens->scopes[i].digest, &digest, sizeof digest) == 0)
            found = &tokens->scopes[i];
    return found;
}

const char *scope_name(const struct scope *scope)
{
    return scope->name;
}

unsigned scope_number(const struct scope *scope)
{
    return scope->digest.octets[0];
}

bool scope_may_read(const struct scope *scope, struct bytes book)
{
    if (scope->all_books)
        return true;
    for (size_t i = 0; i < scope->book_count; i++)
        if (bytes_equal(bytes_of_string(scope->books[i]), book))
            return true;
    return false;
}

bool scope_may_write(const struct scope *scope, struct bytes book)
{
    return scope->may_write && scope_may_read(scope, book);
}

bool scope_may_write_all(const struct scope *scope)
{
    return scope->may_write && scope->all_books;
}
