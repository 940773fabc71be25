#ifndef TALEA_COMMON_YAML_DOC_H
#define TALEA_COMMON_YAML_DOC_H
/*
 * A YAML file read whole with libyaml, kept as its document tree with line
 * numbers, for settings, tokens and seed files. Thin on purpose: callers walk
 * libyaml's own nodes; here is what they all need (errors with file and line,
 * duplicate keys refused, text of scalars, bounded size and depth, anchors
 * and aliases refused, exactly one document).
 */
#include <stdbool.h>
#include <stddef.h>
#include <yaml.h>

#include "common/complaints.h"

#define YAML_DOC_MAX_BYTES (1u << 20)

struct yaml_doc {
    yaml_document_t document;
    char *path; /* as given, for messages */
};

/*
 * Reads and parses `path`. 0; ENOENT when there is no such file (nothing in
 * `error`); EINVAL with one line in `error`, such as `tokens.yaml:3: ...`.
 * A file whose name ends in .toml, or that is missing while the same name
 * with .toml is there, is EINVAL with a line that names
 * `contrib/toml-to-yaml FILE`. The caller closes after 0.
 */
int yaml_doc_open(const char *path, struct yaml_doc *out, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/*
 * The same with every fault: anchors and aliases up to an error of syntax, which
 * ends it, or every key that is given twice. 0: the document is open, and the
 * caller closes it, also when there are complaints.
 */
int yaml_doc_open_all(const char *path, struct yaml_doc *out, struct complaints *complaints)
    __attribute__((warn_unused_result));
void yaml_doc_close(struct yaml_doc *doc);

/* The root node, or NULL for an empty document. */
yaml_node_t *yaml_doc_root(struct yaml_doc *doc);

/* The value of a key of a mapping node, or NULL. */
yaml_node_t *yaml_doc_get(struct yaml_doc *doc, yaml_node_t *mapping, const char *key);

/* The first key of a mapping node that is none of `known`, which ends with NULL; NULL: all are known. */
yaml_node_t *yaml_doc_unknown_key(struct yaml_doc *doc, yaml_node_t *mapping, const char *const *known);

yaml_node_t *yaml_doc_node(struct yaml_doc *doc, int index);

/* True for a plain scalar that YAML's core schema reads as null (empty, ~, null). */
bool yaml_node_is_null(const yaml_node_t *node);

/* The scalar's text, NUL-terminated, or NULL when the node is no scalar or holds a NUL. */
const char *yaml_node_text(const yaml_node_t *node);

/* 1-based. */
int yaml_node_line(const yaml_node_t *node);

#endif
