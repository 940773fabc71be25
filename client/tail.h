#ifndef TALEA_CLIENT_TAIL_H
#define TALEA_CLIENT_TAIL_H
#include "client/http.h"

/*
 * Prints a book's events as JSON lines from seq `first` on, for ever:
 * reconnects by itself and resumes behind the last event printed. Ends with 0
 * on SIGINT, SIGTERM or when nobody reads its output any more, with 1 when the
 * ledger refuses.
 */
int tail_book(const struct server *server, const char *book, unsigned long long first);

#endif
