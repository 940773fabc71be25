/*
 * The tokens file, and behind a line `--- header` an Authorization field.
 *
 * What is taken: each entry's token finds the scope of its name with its books and its access, as the YAML tree has
 * them; a field finds a scope, or none. What is refused: one line that says why, and no set of tokens. A start and
 * `talead check-config` agree.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/yaml_doc.h"
#include "server/tokens.h"
#include "tests/fuzz/fuzz.h"

#define API_TOKEN "api-token"

static void count_complaint(void *context, const struct complaint *complaint)
{
    unsigned *count = context;
    (*count)++;
    FUZZ_HOLDS(complaint->text[0] && complaint->line >= 0);
}

static const struct scope *find(const struct tokens *tokens, const char *token)
{
    struct buffer field = {0};
    buffer_append_string(&field, "bEARER   ");
    buffer_append_string(&field, token);
    const struct scope *scope = tokens_find(tokens, buffer_bytes(&field));
    buffer_free(&field);
    return scope;
}

static void check_books(struct yaml_doc *doc, const yaml_node_t *books, bool may_write, const struct scope *scope)
{
    bool all = false;
    for (yaml_node_item_t *i = books->data.sequence.items.start; i < books->data.sequence.items.top; i++) {
        const char *book = yaml_node_text(yaml_doc_node(doc, *i));
        FUZZ_HOLDS(book && scope_may_read(scope, bytes_of_string(book)));
        FUZZ_HOLDS(scope_may_write(scope, bytes_of_string(book)) == may_write);
        all |= strcmp(book, "*") == 0;
    }
    FUZZ_HOLDS(scope_may_write_all(scope) == (all && may_write));
    FUZZ_HOLDS(scope_may_read(scope, bytes_of("", 0)) == all);
}

static void check_entries(const char *path, const struct tokens *tokens)
{
    struct yaml_doc doc;
    char error[512];
    FUZZ_HOLDS(yaml_doc_open(path, &doc, error, sizeof error) == 0);
    yaml_node_t *entries = yaml_doc_get(&doc, yaml_doc_root(&doc), "tokens");
    FUZZ_HOLDS(entries && entries->type == YAML_MAPPING_NODE);
    yaml_node_pair_t *p = entries->data.mapping.pairs.start;
    FUZZ_HOLDS(p < entries->data.mapping.pairs.top);
    for (; p < entries->data.mapping.pairs.top; p++) {
        yaml_node_t *entry = yaml_doc_node(&doc, p->value);
        const char *token = yaml_node_text(yaml_doc_get(&doc, entry, "token"));
        const char *access = yaml_node_text(yaml_doc_get(&doc, entry, "access"));
        FUZZ_HOLDS(token && token[0] && access);
        if (token[0] == ' ') /* no field can carry it: spaces behind the scheme are not the token's */
            continue;
        const struct scope *scope = find(tokens, token);
        FUZZ_HOLDS(scope && strcmp(scope_name(scope), yaml_node_text(yaml_doc_node(&doc, p->key))) == 0);
        check_books(&doc, yaml_doc_get(&doc, entry, "books"), strcmp(access, "rw") == 0, scope);
    }
    yaml_doc_close(&doc);
}

static void check_taken(const char *path, struct tokens *tokens, struct bytes header)
{
    FUZZ_HOLDS(!tokens_open_mode(tokens));
    FUZZ_HOLDS(!tokens_find(tokens, bytes_of(NULL, 0)));
    FUZZ_HOLDS(find(tokens, API_TOKEN) && scope_may_write_all(find(tokens, API_TOKEN)));
    check_entries(path, tokens);
    uint8_t *copy = fuzz_copy(header);
    const struct scope *scope = tokens_find(tokens, bytes_of(copy, header.len));
    FUZZ_HOLDS(!scope || scope_name(scope)[0]);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fuzz_file file;
    struct bytes header;
    struct tokens *tokens = NULL;
    char error[512] = "";
    unsigned complained = 0;
    fuzz_file_fill(&file, fuzz_cut(bytes_of(data, size), "\n--- header\n", &header));
    int failed = tokens_load(API_TOKEN, file.path, &tokens, error, sizeof error);
    struct complaints complaints = {.each = count_complaint, .context = &complained};
    unsigned count = tokens_check(API_TOKEN, file.path, &complaints);
    FUZZ_HOLDS(complained == complaints.count && (complained > 0) == (failed != 0) && count >= 1);
    FUZZ_HOLDS(failed == 0 || (failed == EINVAL && error[0] && !tokens));
    if (!failed)
        check_taken(file.path, tokens, header);
    tokens_destroy(&tokens);
    return 0;
}
