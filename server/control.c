#include "server/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/data_dir.h"
#include "common/exit_status.h"
#include "common/report.h"

#define BACKLOG 16

struct control {
    char *path;
    int listener;
    int client[CONTROL_CLIENTS_MAX]; /* -1: none */
    control_handler *handler;
    void *context;
};

/* Not readable by others for a moment even. */
static int bind_private(int fd, const struct sockaddr_un *address)
{
    unlink(address->sun_path);
    mode_t before = umask(0177);
    int error = bind(fd, (const struct sockaddr *)address, sizeof *address) ? errno : 0;
    umask(before);
    return error;
}

static int listen_in(const char *data_dir, int *out)
{
    struct sockaddr_un address;
    int dir_fd, error = control_address(data_dir, &dir_fd, &address);
    if (error)
        return error;
    *out = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    error = *out < 0 ? errno : bind_private(*out, &address);
    if (error == 0 && listen(*out, BACKLOG) != 0)
        error = errno;
    close(dir_fd);
    if (error && *out >= 0)
        close(*out);
    return error;
}

int control_create(const char *data_dir, control_handler *handler, void *context, struct control **out)
{
    struct control *c = calloc(1, sizeof *c);
    if (!c)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    c->handler = handler;
    c->context = context;
    for (int n = 0; n < CONTROL_CLIENTS_MAX; n++)
        c->client[n] = -1;
    int error = listen_in(data_dir, &c->listener);
    if (error) {
        free(c);
        c = NULL;
    } else {
        c->path = data_dir_path(data_dir, DATA_DIR_CONTROL);
    }
    *out = c;
    return error;
}

void control_close_in_child(struct control *c)
{
    if (!c)
        return;
    close(c->listener);
    for (int n = 0; n < CONTROL_CLIENTS_MAX; n++)
        if (c->client[n] >= 0)
            close(c->client[n]);
}

void control_destroy(struct control **control)
{
    struct control *c = *control;
    if (!c)
        return;
    unlink(c->path);
    control_close_in_child(c);
    free(c->path);
    free(c);
    *control = NULL;
}

size_t control_polls(const struct control *c, struct pollfd polls[static CONTROL_POLLS_MAX])
{
    size_t count = 0;
    polls[count++] = (struct pollfd){.fd = c->listener, .events = POLLIN};
    for (int n = 0; n < CONTROL_CLIENTS_MAX; n++)
        polls[count++] = (struct pollfd){.fd = c->client[n], .events = POLLIN}; /* poll passes over -1 */
    return count;
}

static bool may_ask(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && (peer.uid == 0 || peer.uid == geteuid());
}

/* Without waiting: the socket has room for an answer, unless its reader does not read. */
static bool say(int fd, struct buffer *text, int status)
{
    struct buffer answer = {0};
    if (text->len > CONTROL_ANSWER_BYTES_MAX) {
        buffer_clear(text);
        buffer_append_string(text, "the answer is too long\n");
        status = EXIT_STATUS_FAILED;
    }
    control_answer_pack(&answer, status, buffer_bytes(text));
    bool sent = send(fd, answer.base, answer.len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)answer.len;
    buffer_free(&answer);
    return sent;
}

static void take_client(struct control *c)
{
    int fd = accept4(c->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    int n = 0;
    while (n < CONTROL_CLIENTS_MAX && c->client[n] >= 0)
        n++;
    if (fd < 0)
        return;
    const char *refusal = !may_ask(fd)               ? "only root and the user that talead runs as may ask it\n"
                          : n == CONTROL_CLIENTS_MAX ? "too many admin commands ask at once: try again\n"
                                                     : NULL;
    if (refusal) {
        struct buffer text = {0};
        buffer_append_string(&text, refusal);
        (void)say(fd, &text, EXIT_STATUS_FAILED);
        buffer_free(&text);
        close(fd);
        return;
    }
    c->client[n] = fd;
}

static void drop_client(struct control *c, int n)
{
    close(c->client[n]);
    c->client[n] = -1;
}

/* False: the connection is to end. */
static bool answer_client(struct control *c, int fd)
{
    uint8_t message[CONTROL_REQUEST_BYTES_MAX];
    struct control_request request;
    ssize_t length = recv(fd, message, sizeof message, MSG_DONTWAIT);
    if (length <= 0)
        return length < 0 && (errno == EAGAIN || errno == EINTR);
    int error = control_request_unpack(bytes_of(message, (size_t)length), &request);
    if (error == EBADMSG)
        return false;
    struct buffer text = {0};
    int status = EXIT_STATUS_FAILED;
    if (error)
        buffer_append_string(&text, "the command is of another version than the running talead: use its own\n");
    else
        status = c->handler(c->context, &request, &text);
    bool sent = say(fd, &text, status);
    buffer_free(&text);
    return sent;
}

void control_serve(struct control *c, const struct pollfd *polls, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (polls[i].revents && c->client[i - 1] == polls[i].fd && !answer_client(c, polls[i].fd))
            drop_client(c, (int)i - 1);
    if (polls[0].revents)
        take_client(c);
}
