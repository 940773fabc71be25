#ifndef TALEA_SERVER_ADMIN_H
#define TALEA_SERVER_ADMIN_H
/*
 * The admin commands that ask a running talead, `talead status` and so on.
 * Each returns an exit status; 75 says that what was begun has not come to its
 * end in time.
 */
#include "common/command_line.h"

int status_command(const struct arguments *arguments);
int workers_command(const struct arguments *arguments);
int reload_command(const struct arguments *arguments);
int stop_command(const struct arguments *arguments);
int snapshot_command(const struct arguments *arguments);
int books_command(const struct arguments *arguments);

#endif
