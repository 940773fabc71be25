/* Waiting between tries, for requests and for the stream alike. */
#include "client/backoff.h"

#include <time.h>

#define FIRST_MS 200

void backoff_wait(struct backoff *backoff, long at_least_ms)
{
    long step_ms = backoff->next_ms ? backoff->next_ms : FIRST_MS;
    long ms = at_least_ms > step_ms ? at_least_ms : step_ms;
    backoff->next_ms = step_ms * 2 < BACKOFF_MAX_MS ? step_ms * 2 : BACKOFF_MAX_MS;
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}
