#include "arbiter/arbiter_calls.h"

#include <sys/prctl.h>

#include "common/system_calls.h"

static const struct allowed_call of_arbiter[] = {
    ALLOW_CALL(openat),
    ALLOW_CALL(mkdir),
    ALLOW_CALL(rmdir),
    ALLOW_CALL(unlink),
    ALLOW_CALL(rename),
    ALLOW_CALL(mkdirat), /* other machines know these alone */
    ALLOW_CALL(unlinkat),
    ALLOW_CALL(renameat),
    ALLOW_CALL(renameat2),
    ALLOW_CALL(pwrite64),
    ALLOW_CALL(pwritev),
    ALLOW_CALL(fsync),
    ALLOW_CALL(fdatasync),
    ALLOW_CALL(msync),
    ALLOW_CALL(sync_file_range),
    ALLOW_CALL(fallocate),
    ALLOW_CALL(flock),
    ALLOW_CALL(copy_file_range),
    ALLOW_CALL(sendfile),
    /* Its threads, and copies of itself. */
    ALLOW_CALL(clone),
    ALLOW_CALL(wait4),
    ALLOW_CALL(kill),
    ALLOW_CALL(tgkill),
    ALLOW_CALL(setpriority),
    ALLOW_CALL(getpriority),
    {SCMP_SYS(prctl), 0, UINT32_MAX, PR_SET_PDEATHSIG},
    {SCMP_SYS(prctl), 0, UINT32_MAX, PR_GET_DUMPABLE},
    {SCMP_SYS(prctl), 0, UINT32_MAX, PR_SET_DUMPABLE},
    {SCMP_SYS(prlimit64), 2, UINT64_MAX, 0},
};

int arbiter_calls_confine(_Atomic int32_t *forbidden)
{
    const struct allowed_calls list = {of_arbiter, sizeof of_arbiter / sizeof *of_arbiter};
    return system_calls_confine(&list, 1, forbidden);
}
