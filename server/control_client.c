#include "server/control_client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/report.h"

#define ANSWER_PATIENCE_MS 30000 /* the master answers at once, unless the machine is in trouble */

static int refuse(const char *data_dir, int error)
{
    if (error == ENOENT || error == ECONNREFUSED)
        report_usage_error("the ledger in %s is not served: talead serve starts it", data_dir);
    else if (error == EACCES || error == EPERM)
        report_usage_error("only root and the user that talead runs as may ask the talead of %s", data_dir);
    else
        report_usage_error("cannot reach the talead of %s: %s", data_dir, strerror(error));
    return EINVAL;
}

int control_connect(const char *data_dir, int *fd)
{
    struct sockaddr_un address;
    int dir_fd, error = control_address(data_dir, &dir_fd, &address);
    if (error)
        return refuse(data_dir, error);
    *fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    error = *fd < 0 || connect(*fd, (struct sockaddr *)&address, sizeof address) != 0 ? errno : 0;
    close(dir_fd);
    if (error == 0)
        return 0;
    if (*fd >= 0)
        close(*fd);
    return refuse(data_dir, error);
}

static int receive(int fd, int *exit_status, struct buffer *text)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    int ready = poll(&wait, 1, ANSWER_PATIENCE_MS);
    if (ready <= 0)
        return ready == 0 ? ETIMEDOUT : errno;
    size_t room = CONTROL_ANSWER_BYTES_MAX + 64;
    uint8_t *message = malloc(room);
    if (!message)
        return ENOMEM;
    struct bytes said;
    ssize_t length = recv(fd, message, room, 0);
    if (length < 0 && errno == ECONNRESET) /* it closed before it read the request; what it said comes after that */
        length = recv(fd, message, room, 0);
    int error = length < 0 ? errno : length == 0 ? EPIPE : 0;
    if (error == 0)
        error = control_answer_unpack(bytes_of(message, (size_t)length), exit_status, &said);
    if (error == 0)
        buffer_append(text, said.base, said.len);
    free(message);
    return error;
}

int control_ask(int fd, const struct control_request *request, int *exit_status, struct buffer *text)
{
    struct buffer message = {0};
    control_request_pack(&message, request);
    ssize_t sent = send(fd, message.base, message.len, MSG_NOSIGNAL);
    int error = sent < 0 && errno != EPIPE ? errno : 0; /* a master that closes at once has said why */
    buffer_free(&message);
    return error ? error : receive(fd, exit_status, text);
}

void control_wait_for_end(int fd)
{
    uint8_t octet;
    while (recv(fd, &octet, sizeof octet, 0) > 0)
        continue;
}
