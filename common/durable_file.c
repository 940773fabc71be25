#include "common/durable_file.h"

/* Nothing but system calls in their order. A folder is opened for each fsync: that happens rarely. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/exit_status.h"
#include "common/report.h"

int write_fully(int fd, const void *p, size_t n, off_t offset)
{
    const uint8_t *at = p;
    while (n > 0) {
        ssize_t done = pwrite(fd, at, n, offset);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return errno;
        if (done == 0)
            return EIO;
        at += done;
        n -= (size_t)done;
        offset += done;
    }
    return 0;
}

int directory_sync(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int error = fsync(fd) ? errno : 0;
    close(fd);
    return error;
}

int directory_sync_parent(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *parent = !slash ? strdup(".") : slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
    if (!parent)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    int error = directory_sync(parent);
    free(parent);
    return error;
}

int durable_rename(const char *from, const char *to)
{
    return rename(from, to) ? errno : directory_sync_parent(to);
}

static int write_new_file(const char *path, struct bytes content)
{
    if (unlink(path) != 0 && errno != ENOENT)
        return errno;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return errno;
    int error = write_fully(fd, content.base, content.len, 0);
    if (error == 0 && fsync(fd) != 0)
        error = errno;
    close(fd);
    return error;
}

int durable_replace(const char *path, struct bytes content)
{
    char *temporary;
    if (asprintf(&temporary, "%s.new", path) < 0)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    int error = write_new_file(temporary, content);
    if (error == 0)
        error = durable_rename(temporary, path);
    if (error)
        unlink(temporary);
    free(temporary);
    return error;
}
