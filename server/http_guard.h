#ifndef TALEA_SERVER_HTTP_GUARD_H
#define TALEA_SERVER_HTTP_GUARD_H
/*
 * Stands in front of h2o: libh2o 2.2.5 reads heads and chunks by
 * picohttpparser's phr_parse_request and phr_decode_chunked, leniently, and
 * calls them through its procedure linkage table, as Debian builds it. A
 * program's own functions of these names take their place; here they are, on
 * the strict readers of http_head and http_chunks. http_server_create proves
 * at each start that they are called (a library built with -Bsymbolic would
 * not), and the program does not serve where they are not.
 *
 * A request with a fault becomes one that h2o takes: its first line, where that
 * is good, no field but the request's id, and all that came with it for a head.
 * Its handler asks http_guard_take first, and answers the fault in the words of
 * talea; h2o's own refusals are never met.
 *
 * One server in a process: h2o hands no context over.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "server/http_chunks.h"
#include "server/http_fault.h"
#include "server/http_head.h"

#define HTTP_REQUEST_ID "x-request-id"

/* Data of a body that are taken; more is HTTP_FAULT_BODY_LENGTH. */
void http_guard_set_body_max(uint32_t bytes);

/* The fault of the request that h2o is handing over, once; HTTP_FAULT_NONE: it has none. Is its first line known? */
enum http_fault http_guard_take(bool *first_line);

/* Heads and pieces of chunked bodies that were read here since the start. */
uint64_t http_guard_heads(void);
uint64_t http_guard_chunks(void);

/*
 * What h2o calls. Declared in picohttpparser.h of h2o 2.2.5: phr_parse_request
 * returns the head's length, -1 or -2 (it goes on); phr_decode_chunked what
 * http_chunks_decode does. num_headers: room on entry.
 */
int phr_parse_request(const char *text, size_t length, const char **method, size_t *method_length, const char **path,
                      size_t *path_length, int *minor_version, struct http_field *headers, size_t *num_headers,
                      size_t last_length);
ssize_t phr_decode_chunked(struct http_chunks *decoder, char *text, size_t *length);

#endif
