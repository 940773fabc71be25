#ifndef TALEA_SERVER_CONFINEMENT_H
#define TALEA_SERVER_CONFINEMENT_H
/* What a worker is kept from; each failure is one line in the log, and the worker goes on without. */
#include <stdbool.h>
#include <stdint.h>

#include "common/border.h"
#include "common/settings.h"

/*
 * First thing in a worker: gives up privileges and descriptors, raises the
 * fence around files. True: there is a fence (write_fence.h).
 */
bool confinement_begin(const struct border *border, uint32_t worker, const struct settings *settings);

/* Last thing before it serves, since what was needed to set it up is forbidden as well: the filter of system calls. */
void confinement_complete(struct worker_slot *slot, const struct settings *settings);

#endif
