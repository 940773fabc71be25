#ifndef TALEA_SERVER_INIT_H
#define TALEA_SERVER_INIT_H

/* talead init: makes a ledger, a token and .env, applies the seed file. Returns an exit status. */
int init_command(int argc, char **argv);

#endif
