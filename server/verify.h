#ifndef TALEA_SERVER_VERIFY_H
#define TALEA_SERVER_VERIFY_H
/* `talead verify DIR [--from SNAPSHOT] [--expect HEAD]`: is everything as it was acknowledged? An exit status. */
#include "common/command_line.h"

int verify_command(const struct arguments *arguments);

#endif
