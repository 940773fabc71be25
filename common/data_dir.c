#include "common/data_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/exit_status.h"
#include "common/report.h"

char *data_dir_path(const char *dir, const char *name)
{
    char *path;
    if (asprintf(&path, "%s/%s", dir, name) < 0)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    return path;
}

int data_dir_lock(const char *dir)
{
    char *path = data_dir_path(dir, DATA_DIR_LOCK);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    free(path);
    if (fd < 0)
        return errno;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    int error = errno;
    close(fd);
    return error;
}

bool data_dir_is_locked(const char *dir)
{
    char *path = data_dir_path(dir, DATA_DIR_LOCK);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    free(path);
    if (fd < 0)
        return false;
    bool locked = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    close(fd);
    return locked;
}
