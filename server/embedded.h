#ifndef TALEA_SERVER_EMBEDDED_H
#define TALEA_SERVER_EMBEDDED_H
/*
 * Files that talead carries within itself, byte for byte: the description of
 * the HTTP interface, and the pages that show it. They are made part of the
 * program when it is built (server/docs.am), so that what is served describes
 * this very build and no file can be missing or be of another version.
 */
#include "common/bytes.h"

struct bytes embedded_openapi(void);      /* server/openapi.json */
struct bytes embedded_plain_page(void);   /* made from it by server/docs/plain_page.py */
struct bytes embedded_plain_css(void);    /* server/docs/plain.css */
struct bytes embedded_swagger_page(void); /* server/docs/swagger.html */
struct bytes embedded_swagger_js(void);   /* server/docs/swagger.js */

#endif
