#ifndef TALEA_SERVER_READ_ROUTES_H
#define TALEA_SERVER_READ_ROUTES_H
/* The routes that read: a worker answers them by itself, from the index and the log. */

struct exchange;

void handle_get_transaction(struct exchange *exchange);
void handle_get_balance(struct exchange *exchange);
void handle_get_history(struct exchange *exchange);
void handle_get_trial_balance(struct exchange *exchange);
void handle_get_health(struct exchange *exchange);

#endif
