#ifndef TALEA_SERVER_MASTER_COMMANDS_H
#define TALEA_SERVER_MASTER_COMMANDS_H
/*
 * What the master does for admin commands that come over the control socket.
 * None of them waits: a command that takes time (a snapshot, workers that
 * leave) is begun, and its client asks again how it stands.
 *
 *   ping                   nothing: somebody serves
 *   status                 all of it
 *   workers [N|+N|-N]      shows, or sets how many are wanted
 *   advise                 would another worker help?
 *   reload
 *   stop [fast]            the connection ends when talead has ended
 *   snapshot               orders one; prints the order's number
 *   snapshot N             how did order N end? 75 (EX_TEMPFAIL of sysexits.h): not yet
 */
#include "server/control_message.h"

#define STATUS_NOT_YET 75

/* A control_handler (control.h); `context` is the struct master. */
int master_command(void *context, const struct control_request *request, struct buffer *answer);

#endif
