#include "server/listen.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/settings.h"

#define BACKLOG 4096

static int bind_and_listen(const struct addrinfo *info, int *fd)
{
    int one = 1;
    *fd = socket(info->ai_family, info->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, info->ai_protocol);
    if (*fd < 0)
        return errno;
    if (setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
        bind(*fd, info->ai_addr, info->ai_addrlen) == 0 && listen(*fd, BACKLOG) == 0)
        return 0;
    int error = errno;
    close(*fd);
    *fd = -1;
    return error;
}

int listen_on(const char *address, const char *setting, int *fd, char *error, unsigned error_size)
{
    char *host, *port;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found;
    int failed = settings_split_address(address, &host, &port);
    if (failed) {
        snprintf(error, error_size, "invalid %s: not an address: %s", setting, address);
        return failed;
    }
    int lookup = getaddrinfo(host, port, &hints, &found);
    if (lookup) {
        snprintf(error, error_size, "cannot listen on %s: %s (%s)", address, gai_strerror(lookup), setting);
        failed = EADDRNOTAVAIL;
    } else {
        failed = bind_and_listen(found, fd); /* a name with several addresses: the first */
        freeaddrinfo(found);
        if (failed)
            snprintf(error, error_size, "cannot listen on %s: %s (%s)", address, strerror(failed), setting);
    }
    free(host);
    free(port);
    return failed;
}

void listen_address(int fd, char out[static LISTEN_ADDRESS_MAX])
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    char host[LISTEN_ADDRESS_MAX - 10], port[8];
    if (getsockname(fd, (struct sockaddr *)&address, &length) != 0 ||
        getnameinfo((struct sockaddr *)&address, length, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        snprintf(out, LISTEN_ADDRESS_MAX, "(unknown)");
        return;
    }
    snprintf(out, LISTEN_ADDRESS_MAX, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}
