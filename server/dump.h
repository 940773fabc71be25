#ifndef TALEA_SERVER_DUMP_H
#define TALEA_SERVER_DUMP_H
/* `talead dump DIR [--book B] [--from SEQ]`: events as JSON lines, straight from the log. An exit status. */
#include "common/command_line.h"

int dump_command(const struct arguments *arguments);

#endif
