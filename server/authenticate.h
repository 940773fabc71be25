#ifndef TALEA_SERVER_AUTHENTICATE_H
#define TALEA_SERVER_AUTHENTICATE_H
/* Who asks: the token of a request, and what is done when there is no right one. */
#include "server/worker.h"

/* Sets exchange->scope. False: answered, 401 or (auth_limit.h) 429. */
bool authenticate(struct exchange *e);

#endif
