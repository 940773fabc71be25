#ifndef TALEA_SERVER_CORS_H
#define TALEA_SERVER_CORS_H
/*
 * Pages of other origins, by the Fetch standard: what the answers must carry so
 * that a browser hands them to a script from one of TALEA_CORS_ORIGINS. Without
 * the setting nothing here happens. It guards no ledger: who may do what is a
 * matter of the token, which a script has to have in any case; browsers are
 * never asked to add cookies or the like.
 */
#include "server/worker.h"

#define CORS_HEADERS_MAX 3

/* What an answer has beside its own headers. How many. */
size_t cors_add_headers(const struct exchange *e, struct http_header out[static CORS_HEADERS_MAX]);

/* A browser asks before the request whether it may come: true when this was it, and it is answered. */
bool cors_answer_preflight(struct exchange *e);

#endif
