#ifndef TALEA_CLIENT_BACKOFF_H
#define TALEA_CLIENT_BACKOFF_H
/* The waits between tries: 200 ms, doubling up to 5 s. */

#define BACKOFF_MAX_MS 5000

/* Zero-initialised, it begins at 200 ms. */
struct backoff {
    long next_ms;
};

/* Waits for the next step, or for at_least_ms when that is more; a signal ends it early. */
void backoff_wait(struct backoff *backoff, long at_least_ms);

#endif
