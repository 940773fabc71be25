#ifndef TALEA_SERVER_ADMIN_H
#define TALEA_SERVER_ADMIN_H
/*
 * The admin commands that ask a running talead: command lines of `talead
 * status` and so on. Each returns an exit status; 75 says that what was begun
 * has not come to its end in time.
 */
int status_command(int argc, char **argv);
int workers_command(int argc, char **argv);
int reload_command(int argc, char **argv);
int stop_command(int argc, char **argv);
int snapshot_command(int argc, char **argv);
int books_command(int argc, char **argv);

#endif
