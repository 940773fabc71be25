#include "server/confinement.h"

#include <string.h>

#include "common/privileges.h"
#include "common/report.h"
#include "server/worker_calls.h"
#include "server/write_fence.h"

bool confinement_begin(const struct border *border, uint32_t worker, const struct settings *settings)
{
    const char *why;
    border_keep_own_bell(border, worker);
    privileges_refuse_new();
    privileges_hide_memory(settings->core_dumps);
    if (privileges_drop_capabilities(settings->data_dir, settings->log_file))
        report(REPORT_DEBUG, "CAP_DAC_OVERRIDE stays: the ledger or the log file is another user's");
    bool fenced = write_fence_raise(settings->data_dir, settings->log_file, &why);
    if (!fenced)
        report(REPORT_DEBUG, "what may be opened for writing is left to the modes of files: %s", why);
    return fenced;
}

void confinement_complete(struct worker_slot *slot, const struct settings *settings)
{
    int error = settings->seccomp ? worker_calls_confine(settings->log_file, &slot->forbidden_call) : 0;
    if (error)
        report(REPORT_WARNING, "no filter of system calls: %s (seccomp(2)); TALEA_SECCOMP=no asks for none",
               strerror(error));
}
