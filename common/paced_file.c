#include "common/paced_file.h"

/*
 * A chunk is handed over and waited for by sync_file_range, which writes data
 * alone: O_DSYNC would make the file system commit its journal, and the disk
 * empty its cache, for each. fdatasync does that for many chunks together, so
 * that there is never much in that cache either.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/durable_file.h"
#include "common/rfc3339.h"

#define CHUNK_BYTES (256u << 10)
#define SYNC_EVERY_BYTES (4u << 20)
#define WRITE_AND_WAIT (SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER)
#define FREE_STEP_BYTES (4u << 20)
#define FREE_RESTS 3 /* of the time that a step took: the disk may still be at it when the call is back */

static void rest(uint64_t ns)
{
    struct timespec left = {.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
}

static void rest_after(const struct paced_file *f, uint64_t begin_ns, size_t bytes)
{
    uint64_t took = clock_monotonic_ns() - begin_ns;
    uint64_t least = f->bytes_per_s ? (uint64_t)bytes * 1000000000 / f->bytes_per_s : 0;
    rest(2 * took < least ? least - took : took);
}

/* --- writing --- */

static int settle(struct paced_file *f)
{
    if (fdatasync(f->fd) != 0)
        return errno;
    (void)posix_fadvise(f->fd, (off_t)f->synced, (off_t)(f->written - f->synced), POSIX_FADV_DONTNEED);
    f->synced = f->written;
    return 0;
}

static int append_chunk(struct paced_file *f, const uint8_t *p, size_t n)
{
    uint64_t begin = clock_monotonic_ns();
    int error = write_fully(f->fd, p, n, (off_t)f->written);
    if (error == 0 && sync_file_range(f->fd, (off_t)f->written, (off_t)n, WRITE_AND_WAIT) != 0)
        error = errno;
    if (error)
        return error;
    f->written += n;
    if (f->written - f->synced >= SYNC_EVERY_BYTES)
        error = settle(f);
    rest_after(f, begin, n);
    return error;
}

int paced_file_append(struct paced_file *f, const void *p, size_t n)
{
    int error = 0;
    for (const uint8_t *at = p; error == 0 && n > 0;) {
        size_t step = n < CHUNK_BYTES ? n : CHUNK_BYTES;
        error = append_chunk(f, at, step);
        at += step;
        n -= step;
    }
    return error;
}

int paced_file_hand_over(struct paced_file *f, size_t n)
{
    uint64_t begin = clock_monotonic_ns();
    int error = sync_file_range(f->fd, 0, 0, WRITE_AND_WAIT) != 0 ? errno : 0;
    f->written += n;
    if (error == 0 && f->written - f->synced >= SYNC_EVERY_BYTES) {
        error = fdatasync(f->fd) != 0 ? errno : 0;
        f->synced = f->written;
    }
    rest_after(f, begin, n);
    return error;
}

int paced_file_sync(struct paced_file *f)
{
    int error = settle(f);
    return error == 0 && fsync(f->fd) != 0 ? errno : error;
}

/* --- giving up --- */

/* It has no name any more. When a step fails, closing it frees the rest. */
static void free_blocks(int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || st.st_nlink != 0 || flock(fd, LOCK_EX | LOCK_NB) != 0)
        return;
    for (off_t left = st.st_size; left > 0;) {
        uint64_t begin = clock_monotonic_ns();
        left = left > (off_t)FREE_STEP_BYTES ? left - (off_t)FREE_STEP_BYTES : 0;
        if (ftruncate(fd, left) != 0)
            return;
        rest(FREE_RESTS * (clock_monotonic_ns() - begin));
    }
}

/* A file that cannot be opened is removed all the same. */
static int open_doomed(const char *path)
{
    return open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

static void free_doomed(int fd)
{
    if (fd < 0)
        return;
    free_blocks(fd);
    close(fd);
}

int paced_unlink(const char *path)
{
    int fd = open_doomed(path);
    int error = unlink(path) != 0 ? errno : 0;
    free_doomed(fd);
    return error;
}

int paced_replace(const char *from, const char *to)
{
    int fd = open_doomed(to);
    int error = durable_rename(from, to);
    free_doomed(fd);
    return error;
}
