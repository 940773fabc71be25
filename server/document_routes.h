#ifndef TALEA_SERVER_DOCUMENT_ROUTES_H
#define TALEA_SERVER_DOCUMENT_ROUTES_H
/*
 * The routes that describe the interface: /openapi.json, /docs and the files
 * that the page asks for. All are open and answered from memory.
 *
 * The page is swagger-ui where its files are, else a plain one; the plain one
 * is always there too, as /docs/plain.html. Of swagger-ui all files are there
 * or none is served, and a file is found by a name of a table alone: nothing
 * that a client sends ever becomes part of a path.
 */
#include "common/settings.h"

struct exchange;
struct documents; /* one set for each worker */

/* Reads swagger-ui's files; never fails. Says so when TALEA_DOCS_DIR is set and they are not in it. */
struct documents *documents_load(const struct settings *settings);

void handle_get_openapi(struct exchange *exchange);
void handle_get_docs(struct exchange *exchange);
void handle_get_docs_file(struct exchange *exchange);

#endif
