#ifndef TALEA_SERVER_CHECK_CONFIG_H
#define TALEA_SERVER_CHECK_CONFIG_H
/* talead check-config: would a start take these settings? Every fault, not only the first. */
#include "common/command_line.h"

/* An exit status: EXIT_STATUS_FAILED when there is a fault. */
int check_config_command(const struct arguments *arguments);

#endif
