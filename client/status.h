#ifndef TALEA_CLIENT_STATUS_H
#define TALEA_CLIENT_STATUS_H
/* Exit statuses of talea, documented in talea(1), and how it says what went wrong. */

#define STATUS_DONE 0
#define STATUS_REFUSED 1 /* the server said no; its JSON is on stderr */
#define STATUS_USAGE 2
#define STATUS_UNREACHABLE 3 /* no answer, none that is the ledger's, or nowhere to write it */

/* One line on stderr, `talea: ...`. Never pass a token. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Ends the program with one line. */
_Noreturn void out_of_memory(void);

#endif
