#ifndef TALEA_SERVER_BACKUP_H
#define TALEA_SERVER_BACKUP_H
/* talead backup: a copy of a ledger that can be served, made beside a running server. */
#include "common/command_line.h"

int backup_command(const struct arguments *arguments); /* an exit status */

#endif
