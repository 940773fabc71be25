#include "server/worker_calls.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/system_calls.h"

#define OPEN_WRITES (O_ACCMODE | O_CREAT | O_TRUNC)
#define OPEN_ALL UINT32_MAX

static const struct allowed_call of_workers[] = {
    {SCMP_SYS(openat), 2, OPEN_WRITES, O_RDONLY},
    {SCMP_SYS(openat), 2, OPEN_ALL, O_RDWR | O_CREAT | O_CLOEXEC}, /* LMDB's readers: their lock file */
    ALLOW_CALL(accept4),
    ALLOW_CALL(accept),
    ALLOW_CALL(shutdown),
    ALLOW_CALL(getsockname),
    ALLOW_CALL(getpeername),
    {SCMP_SYS(ioctl), 1, UINT32_MAX, SIOCOUTQ}, /* does the client of a Unix socket read? */
    ALLOW_CALL(getsockopt),
    ALLOW_CALL(setsockopt),
    ALLOW_CALL(recvfrom),
    ALLOW_CALL(recvmsg),
    ALLOW_CALL(sendto),
    ALLOW_CALL(sendmsg),
    ALLOW_CALL(epoll_create),
    ALLOW_CALL(epoll_create1),
    ALLOW_CALL(epoll_ctl),
    ALLOW_CALL(epoll_wait),
    ALLOW_CALL(epoll_pwait),
    ALLOW_CALL(pipe2), /* h2o: to send a file on; it is never used */
};

/* As report.c opens it. */
static const struct allowed_call of_log_file[] = {
    {SCMP_SYS(openat), 2, OPEN_ALL, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK},
};

int worker_calls_confine(bool has_log_file, _Atomic int32_t *forbidden)
{
    const struct allowed_call of_itself[] = {
        {SCMP_SYS(tgkill), 0, UINT32_MAX, (uint32_t)getpid()},    /* abort(3) */
        {SCMP_SYS(prlimit64), 2, UINT64_MAX, 0},                 /* of any process, but only to read */
    };
    const struct allowed_calls lists[] = {
        {of_workers, sizeof of_workers / sizeof *of_workers},
        {of_itself, sizeof of_itself / sizeof *of_itself},
        {of_log_file, has_log_file ? sizeof of_log_file / sizeof *of_log_file : 0},
    };
    return system_calls_confine(lists, sizeof lists / sizeof *lists, forbidden);
}
