#ifndef TALEA_SERVER_VERIFY_H
#define TALEA_SERVER_VERIFY_H
/* `talead verify DIR [--from SNAPSHOT] [--expect HEAD]`: is everything as it was acknowledged? An exit status. */

int verify_command(int argc, char **argv);

#endif
