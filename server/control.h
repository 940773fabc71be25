#ifndef TALEA_SERVER_CONTROL_H
#define TALEA_SERVER_CONTROL_H
/*
 * The master's end of <dir>/control (control_message.h): mode 0600, and the
 * peer must be root or the user that talead runs as (SO_PEERCRED). A client
 * that does not read its answer, or sends nonsense, loses its connection.
 */
#include <poll.h>
#include <stddef.h>

#include "server/control_message.h"

#define CONTROL_CLIENTS_MAX 16
#define CONTROL_POLLS_MAX (1 + CONTROL_CLIENTS_MAX)

struct control;

/* Appends what the command prints to `answer`; returns its exit status. */
typedef int control_handler(void *context, const struct control_request *request, struct buffer *answer);

/*
 * Puts the socket in the place of one that was left there: the caller knows
 * that nobody else serves the directory. 0 or errno.
 */
int control_create(const char *data_dir, control_handler *handler, void *context, struct control **out)
    __attribute__((warn_unused_result));
/* Closes all connections, which tells clients that the master has gone, and removes the socket. */
void control_destroy(struct control **control);
/* In a process that was forked off: closes the descriptors and nothing else. NULL is fine. */
void control_close_in_child(struct control *control);

/* What to poll for; returns how many. */
size_t control_polls(const struct control *control, struct pollfd polls[static CONTROL_POLLS_MAX]);
/* After poll(2), with the same polls: takes clients and answers what they asked. */
void control_serve(struct control *control, const struct pollfd *polls, size_t count);

#endif
