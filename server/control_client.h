#ifndef TALEA_SERVER_CONTROL_CLIENT_H
#define TALEA_SERVER_CONTROL_CLIENT_H
/* An admin command's end of <dir>/control (control_message.h). */
#include "server/control_message.h"

/*
 * 0 with a socket to close; else one line on stderr has said that the ledger
 * in `data_dir` is not served, or that the caller may not ask, and EINVAL.
 */
int control_connect(const char *data_dir, int *fd) __attribute__((warn_unused_result));

/*
 * Asks and waits for the answer, which is appended to `text`. 0; EPIPE: the
 * master has gone; ETIMEDOUT; or errno.
 */
int control_ask(int fd, const struct control_request *request, int *exit_status, struct buffer *text)
    __attribute__((warn_unused_result));

/* Waits until the master closes the connection, which it does at its end. */
void control_wait_for_end(int fd);

#endif
