#ifndef TALEA_SERVER_BACKUP_H
#define TALEA_SERVER_BACKUP_H
/* talead backup: a copy of a ledger that can be served, made beside a running server. */

int backup_command(int argc, char **argv); /* an exit status */

#endif
