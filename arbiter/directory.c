#include "arbiter/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/data_dir.h"
#include "common/durable_file.h"

#define LOCK_TABLE_BYTES (64 << 10) /* some 1,000 readers */

static int make_folder(const char *path)
{
    return mkdir(path, 0700) == 0 || errno == EEXIST ? 0 : errno;
}

int directory_make(const char *path)
{
    int error = make_folder(path);
    return error ? error : directory_sync_parent(path); /* one that is there may be of a start that was killed */
}

int directory_prepare(const char *data_dir)
{
    static const char *const folders[] = {DATA_DIR_LOG, DATA_DIR_SNAPSHOTS};
    int error = make_folder(data_dir);
    for (size_t i = 0; error == 0 && i < sizeof folders / sizeof *folders; i++) {
        char *path = data_dir_path(data_dir, folders[i]);
        error = make_folder(path);
        free(path);
    }
    if (error == 0)
        error = directory_sync(data_dir);
    return error ? error : directory_sync_parent(data_dir);
}

int directory_allocate_lock(const char *folder)
{
    char *path = data_dir_path(folder, "lock.mdb");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    free(path);
    if (fd < 0)
        return errno;
    int error;
    do
        error = posix_fallocate(fd, 0, LOCK_TABLE_BYTES);
    while (error == EINTR);
    close(fd);
    return error;
}

static int empty_folder(const char *path, DIR *dir)
{
    struct dirent *entry;
    while (errno = 0, (entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        char *file = data_dir_path(path, entry->d_name);
        int error = unlink(file) ? errno : 0;
        free(file);
        if (error && error != ENOENT)
            return error;
    }
    return errno;
}

/* ENOENT when it is not there. */
static int empty_if_there(const char *path)
{
    DIR *dir = opendir(path);
    if (!dir)
        return errno;
    int error = empty_folder(path, dir);
    closedir(dir);
    return error;
}

int directory_remove(const char *data_dir, const char *name)
{
    char *path = data_dir_path(data_dir, name);
    int error = empty_if_there(path);
    if (error == 0 && rmdir(path) != 0)
        error = errno;
    free(path);
    if (error == 0)
        error = directory_sync(data_dir);
    return error == ENOENT ? 0 : error;
}

int directory_empty(const char *data_dir, const char *name)
{
    char *path = data_dir_path(data_dir, name);
    int error = empty_if_there(path);
    if (error == 0)
        error = directory_sync(path);
    free(path);
    return error == ENOENT ? 0 : error;
}
