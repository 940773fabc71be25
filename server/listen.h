#ifndef TALEA_SERVER_LISTEN_H
#define TALEA_SERVER_LISTEN_H
/*
 * Listening sockets, one for each address, made by the master before it forks
 * and inherited: with a SO_REUSEPORT socket for each worker, one that leaves
 * would take the connections in its accept queue with it.
 */

/*
 * Binds `address` (host:port, [v6]:port) and listens: non-blocking, O_CLOEXEC.
 * 0, or an errno with one line in `error` that names the setting.
 */
int listen_on(const char *address, const char *setting, int *fd, char *error, unsigned error_size)
    __attribute__((warn_unused_result));

/* Where it listens, host:port or [v6]:port in numbers: with port 0 the kernel chose one. */
#define LISTEN_ADDRESS_MAX 80
void listen_address(int fd, char out[static LISTEN_ADDRESS_MAX]);

#endif
