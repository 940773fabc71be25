/*
 * Percent-encoding of names in a path or a query. A name of only dots stays as
 * it is, since escaped dots are dots to everyone who resolves them; the
 * request is sent without resolving (see http.c).
 */
#include "client/request_path.h"

#include <string.h>

void request_path_add_name(struct text *path, const char *name)
{
    static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (const unsigned char *c = (const unsigned char *)name; *c; c++) {
        if (strchr(unreserved, *c))
            text_add(path, (const char *)c, 1);
        else
            text_printf(path, "%%%02X", *c);
    }
}

void request_path_add_book(struct text *path, const char *book)
{
    text_add_string(path, "/v1/books/");
    request_path_add_name(path, book);
}

void request_path_add_query(struct text *path, const char *name, const char *value)
{
    if (!value)
        return;
    text_printf(path, "%s%s=", strchr(path->base, '?') ? "&" : "?", name);
    request_path_add_name(path, value);
}
