#include "tests/bench/zero_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/exit_status.h"
#include "common/report.h"

#define STEP_BYTES (1u << 20)

static int fill(int fd, uint64_t bytes)
{
    static const char zeros[STEP_BYTES];
    for (uint64_t at = 0; at < bytes; at += STEP_BYTES)
        if (pwrite(fd, zeros, STEP_BYTES, (off_t)at) != STEP_BYTES)
            return errno ? errno : EIO;
    return fsync(fd) ? errno : 0;
}

int zero_file_open(const char *dir, uint64_t bytes)
{
    struct buffer name = {0};
    buffer_printf(&name, "%s/bench-XXXXXX%c", dir, 0);
    int fd = mkstemp((char *)name.base);
    int error = fd < 0 || unlink((char *)name.base) != 0 ? errno : fill(fd, bytes);
    if (error)
        report_fatal(EXIT_STATUS_FAILED, "cannot fill a file in %s: %s", dir, strerror(error));
    buffer_free(&name);
    return fd;
}
