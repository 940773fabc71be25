#ifndef TALEA_CLIENT_REQUEST_PATH_H
#define TALEA_CLIENT_REQUEST_PATH_H
#include "client/text.h"

/* Appends a name with everything but unreserved characters escaped: it may hold slashes, or be `..`. */
void request_path_add_name(struct text *path, const char *name);

/* Appends "/v1/books/" and the book's name. */
void request_path_add_book(struct text *path, const char *book);

/* Appends a query parameter; nothing when value is NULL. */
void request_path_add_query(struct text *path, const char *name, const char *value);

#endif
