#ifndef TALEA_SERVER_POST_ROUTES_H
#define TALEA_SERVER_POST_ROUTES_H
/* The routes that write. Form and scope are checked here, the rest is the arbiter's. */

struct exchange;

void handle_post_asset(struct exchange *exchange);
void handle_post_account(struct exchange *exchange);
void handle_post_transaction(struct exchange *exchange);
void handle_post_batch(struct exchange *exchange);

#endif
