#ifndef TALEA_CLIENT_TAIL_H
#define TALEA_CLIENT_TAIL_H
#include <stdint.h>

#include "client/http.h"

/*
 * Prints a book's events as JSON lines from seq `first` on, for ever:
 * reconnects by itself and resumes behind the last event printed. Ends with
 * STATUS_DONE on SIGINT, SIGTERM or when nobody reads its output any more,
 * with STATUS_REFUSED when the ledger refuses.
 */
int tail_book(const struct server *server, const char *book, int64_t first);

#endif
