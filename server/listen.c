#include "server/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "common/report.h"
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

/* --- sockets that were handed in --- */

static bool is_named(const char *name, const char *wanted)
{
    size_t length = strlen(wanted);
    return strncmp(name, wanted, length) == 0 && (name[length] == '\0' || strcmp(name + length, ".socket") == 0);
}

/* The place for a socket of that name; NULL: there is none. libsystemd says "unknown" where no name was given. */
static int *place_of(struct listen_inherited *out, const char *name)
{
    if (is_named(name, "talead-metrics"))
        return &out->metrics_fd;
    return is_named(name, "talead") || strcmp(name, "unknown") == 0 || name[0] == '\0' ? &out->api_fd : NULL;
}

/* 0 when clients can come in through it, else an errno. */
static int check_listening(int fd)
{
    int family = 0;
    socklen_t length = sizeof family;
    int listening = sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1);
    if (listening <= 0)
        return listening < 0 ? -listening : EINVAL;
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &length) != 0)
        return errno;
    return family == AF_INET || family == AF_INET6 || family == AF_UNIX ? 0 : EINVAL;
}

/* As the own ones are; close-on-exec, libsystemd has set. */
static int set_non_blocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ? errno : 0;
}

static int inherit_one(int fd, const char *name, struct listen_inherited *out, char *error, unsigned error_size)
{
    int *place = place_of(out, name);
    if (!place || *place >= 0) {
        snprintf(error, error_size,
                 place ? "inherited socket %d (%s): there is one of that name already; hand in one for each"
                       : "inherited socket %d (%s): name it talead or talead-metrics (FileDescriptorName=)",
                 fd, name);
        return EINVAL;
    }
    int failed = check_listening(fd);
    if (failed == 0)
        failed = set_non_blocking(fd);
    if (failed) {
        snprintf(error, error_size,
                 "inherited socket %d (%s): must be a listening stream socket, IPv4, IPv6 or Unix "
                 "(ListenStream= with Accept=no)",
                 fd, name);
        return failed;
    }
    *place = fd;
    return 0;
}

static void tell_inherited(int fd, const char *setting)
{
    char address[LISTEN_ADDRESS_MAX];
    if (fd < 0)
        return;
    listen_address(fd, address);
    report(REPORT_INFO, "listening on the inherited socket %s: %s is not bound", address, setting);
}

int listen_inherit(struct listen_inherited *out, char *error, unsigned error_size)
{
    char **names = NULL;
    *out = (struct listen_inherited){.api_fd = -1, .metrics_fd = -1};
    int count = sd_listen_fds_with_names(1, &names), failed = 0;
    if (count < 0) {
        snprintf(error, error_size, "cannot take the inherited sockets: %s (LISTEN_FDS, LISTEN_FDNAMES)",
                 strerror(-count));
        return -count;
    }
    for (int i = 0; i < count && !failed; i++)
        failed = inherit_one(SD_LISTEN_FDS_START + i, names[i], out, error, error_size);
    for (int i = 0; i < count; i++)
        free(names[i]);
    free(names);
    if (failed) {
        *out = (struct listen_inherited){.api_fd = -1, .metrics_fd = -1};
        return failed;
    }
    tell_inherited(out->api_fd, "TALEA_BIND");
    tell_inherited(out->metrics_fd, "TALEA_METRICS_BIND");
    return 0;
}

/* --- addresses --- */

/* An abstract name begins with a NUL and ends with the address; one without a name is empty. */
static void unix_address(const struct sockaddr_un *address, socklen_t length, char out[static LISTEN_ADDRESS_MAX])
{
    size_t before = offsetof(struct sockaddr_un, sun_path), given = length > before ? length - before : 0;
    bool abstract = given > 1 && address->sun_path[0] == '\0';
    size_t shown = abstract ? given - 1 : strnlen(address->sun_path, given);
    snprintf(out, LISTEN_ADDRESS_MAX, "unix:%s%.*s", abstract ? "@" : "", (int)shown, address->sun_path + abstract);
}

void listen_address(int fd, char out[static LISTEN_ADDRESS_MAX])
{
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    char host[LISTEN_ADDRESS_MAX - 10], port[8];
    int failed = getsockname(fd, (struct sockaddr *)&address, &length);
    if (!failed && address.ss_family == AF_UNIX) {
        unix_address((const struct sockaddr_un *)&address, length, out);
        return;
    }
    if (failed || getnameinfo((struct sockaddr *)&address, length, host, sizeof host, port, sizeof port,
                              NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        snprintf(out, LISTEN_ADDRESS_MAX, "(unknown)");
        return;
    }
    snprintf(out, LISTEN_ADDRESS_MAX, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}
