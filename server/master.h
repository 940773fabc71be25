#ifndef TALEA_SERVER_MASTER_H
#define TALEA_SERVER_MASTER_H
/*
 * The master process: `talead serve`. Reads the settings, listens, makes the
 * shared mapping, forks the arbiter, waits until it has recovered, forks the
 * workers, and replaces what dies. Touches no ledger data.
 */

/* Serves until it is told to stop. Returns an exit status. */
int master_serve(const char *config_path);

#endif
