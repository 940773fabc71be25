#ifndef TALEA_SERVER_LISTEN_H
#define TALEA_SERVER_LISTEN_H
/*
 * Listening sockets, one for each address, made by the master before it forks
 * and inherited: with a SO_REUSEPORT socket for each worker, one that leaves
 * would take the connections in its accept queue with it. Whoever starts talead
 * may hand them in instead (systemd.socket(5)): such a socket outlives talead,
 * so that connections wait in its queue while talead is started again.
 */

/*
 * Binds `address` (host:port, [v6]:port) and listens: non-blocking, O_CLOEXEC.
 * 0, or an errno with one line in `error` that names the setting.
 */
int listen_on(const char *address, const char *setting, int *fd, char *error, unsigned error_size)
    __attribute__((warn_unused_result));

/* Sockets that were handed in; -1: none. */
struct listen_inherited {
    int api_fd, metrics_fd;
};

/*
 * Takes what LISTEN_FDS hands in, and that and its like out of the environment.
 * `talead-metrics` is the metrics' socket, `talead` or no name the API's; a
 * unit's own name, which systemd puts where none is given, counts as well.
 * Each must be a listening stream socket (IPv4, IPv6, Unix), and it is set as
 * one of listen_on; it is logged whose setting is not bound therefore.
 * 0, or EINVAL or another errno with one line in `error`: nothing is taken then.
 */
int listen_inherit(struct listen_inherited *out, char *error, unsigned error_size)
    __attribute__((warn_unused_result));

/*
 * Where it listens: host:port or [v6]:port in numbers (with port 0 the kernel
 * chose one), unix:<path>, or unix:@<name> for an abstract one.
 */
#define LISTEN_ADDRESS_MAX 128
void listen_address(int fd, char out[static LISTEN_ADDRESS_MAX]);

#endif
