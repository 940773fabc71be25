#ifndef TALEA_SERVER_NEW_TOKEN_H
#define TALEA_SERVER_NEW_TOKEN_H
/* Bearer tokens that are made here: 64 hex digits out of the kernel's random source. */

#define NEW_TOKEN_OCTETS 32
#define NEW_TOKEN_TEXT_MAX (2 * NEW_TOKEN_OCTETS + 1)

/* The caller wipes it when it has been written. */
void new_token(char out[static NEW_TOKEN_TEXT_MAX]);

#endif
