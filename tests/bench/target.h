#ifndef TALEA_BENCH_TARGET_H
#define TALEA_BENCH_TARGET_H
/*
 * The server that is measured: its address, the token for it, and single
 * questions to it, outside of what is measured.
 */
#include <netdb.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define TARGET_NAME_MAX 300
#define TOKEN_MAX 4096

struct target {
    char url[TARGET_NAME_MAX];
    char host[TARGET_NAME_MAX]; /* as the Host field says it */
    char authorization[TOKEN_MAX + 64]; /* a whole field with its end of line, or nothing */
    struct sockaddr_storage address;
    socklen_t address_length;
};

/* http://host:port and nothing behind it. 0, or EINVAL or EHOSTUNREACH, said. */
int target_parse(struct target *target, const char *url) __attribute__((warn_unused_result));

/* Takes the token from the first line of a file. 0, or errno, said; the token is never shown. */
int target_read_token(struct target *target, const char *path) __attribute__((warn_unused_result));

/* A socket on its way to the target, non-blocking; -1: errno says why. */
int target_connect(const struct target *target);

/* A connected socket that blocks, and gives a read or write up after so many seconds; -1: errno. */
int target_connect_blocking(const struct target *target, int timeout_s);

struct text {
    char *base; /* ends with a NUL behind its length */
    size_t length;
};

/*
 * One request on a connection of its own; NULL body: GET. What the ledger
 * asks to repeat (429, 503, 408, no connection) is repeated, for 30 s. The
 * answer's body is the caller's to free. 0, or an errno, said.
 */
int target_ask(const struct target *target, const char *path, const char *body, int *status, struct text *answer)
    __attribute__((warn_unused_result));

#endif
