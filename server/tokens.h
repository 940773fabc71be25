#ifndef TALEA_SERVER_TOKENS_H
#define TALEA_SERVER_TOKENS_H
/*
 * Who may do what: TALEA_API_TOKEN (all books, rw) and the entries of
 * TALEA_TOKENS_FILE. Tokens are compared in constant time (against the SHA-256
 * of each, so that not even the length tells) and wiped on destroy. No error
 * ever shows one.
 */
#include <stdbool.h>
#include <stddef.h>

#include "common/bytes.h"
#include "common/complaints.h"

struct tokens;
struct scope; /* of one token; owned by the set */

/* Either argument may be NULL; both: open mode. 0, or EINVAL with one line in `error` that names the entry. */
int tokens_load(const char *api_token, const char *tokens_file, struct tokens **out, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* Complains of every fault there is. How many tokens there are. */
unsigned tokens_check(const char *api_token, const char *tokens_file, struct complaints *complaints);
void tokens_destroy(struct tokens **tokens);

bool tokens_open_mode(const struct tokens *tokens);

/*
 * The scope for the value of an Authorization header (base NULL: there was
 * none): "Bearer" in any case, one or more spaces, the token. NULL: 401. In
 * open mode always a scope that may do everything.
 */
const struct scope *tokens_find(const struct tokens *tokens, struct bytes authorization);

/* What the log calls it; never the token. NULL in open mode. */
const char *scope_name(const struct scope *scope);

/* The same for a token as long as talead runs, reloads included, and for some others too; tells nothing of it. */
unsigned scope_number(const struct scope *scope);

bool scope_may_read(const struct scope *scope, struct bytes book);
bool scope_may_write(const struct scope *scope, struct bytes book);
/* rw on "*": what registering assets needs. */
bool scope_may_write_all(const struct scope *scope);

#endif
