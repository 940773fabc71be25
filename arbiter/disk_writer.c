#include "arbiter/disk_writer.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/exit_status.h"
#include "common/process.h"
#include "common/report.h"
#include "common/rfc3339.h"

/* The fields of a job are the thread's between `begun` and `ended`, and the caller's else. */
struct disk_writer {
    pthread_t thread;
    bool has_thread;
    bool in_thread; /* the job under way */
    bool leave;
    sem_t begun, ended;
    int fd;
    struct bytes bytes;
    uint64_t offset;
    int error;
    uint64_t sync_ns;
};

struct disk_writer *disk_writer_create(void)
{
    struct disk_writer *w = calloc(1, sizeof *w);
    if (!w)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    int error = sem_init(&w->begun, 0, 0) || sem_init(&w->ended, 0, 0);
    assert(error == 0); /* it refuses values beyond SEM_VALUE_MAX alone */
    return w;
}

static void wait_for(sem_t *semaphore)
{
    while (sem_wait(semaphore) != 0)
        assert(errno == EINTR);
}

/* The space is there, so a short write means trouble. Batches alone are written by pwritev: a trace tells them by it. */
static int write_and_sync(struct disk_writer *w)
{
    struct iovec part = {(void *)w->bytes.base, w->bytes.len};
    ssize_t written = pwritev(w->fd, &part, 1, (off_t)w->offset);
    if (written < 0)
        return errno;
    if ((size_t)written != w->bytes.len)
        return EIO;
    uint64_t begin = clock_monotonic_ns();
    if (fdatasync(w->fd) != 0)
        return errno;
    w->sync_ns = clock_monotonic_ns() - begin;
    return 0;
}

static void *serve(void *context)
{
    struct disk_writer *w = context;
    for (;;) {
        wait_for(&w->begun);
        if (w->leave)
            return NULL;
        w->error = write_and_sync(w);
        sem_post(&w->ended);
    }
}

static void take_job(struct disk_writer *w, int fd, struct bytes bytes, uint64_t offset)
{
    w->fd = fd;
    w->bytes = bytes;
    w->offset = offset;
}

void disk_writer_begin(struct disk_writer *w, int fd, struct bytes bytes, uint64_t offset)
{
    if (!w->has_thread)
        w->has_thread = process_start_thread(&w->thread, serve, w) == 0;
    if (!w->has_thread) {
        disk_writer_do(w, fd, bytes, offset);
        return;
    }
    take_job(w, fd, bytes, offset);
    w->in_thread = true;
    sem_post(&w->begun);
}

void disk_writer_do(struct disk_writer *w, int fd, struct bytes bytes, uint64_t offset)
{
    take_job(w, fd, bytes, offset);
    w->error = write_and_sync(w);
}

int disk_writer_end(struct disk_writer *w, uint64_t *sync_ns)
{
    if (w->in_thread)
        wait_for(&w->ended);
    w->in_thread = false;
    *sync_ns = w->sync_ns;
    return w->error;
}

void disk_writer_destroy(struct disk_writer **writer)
{
    struct disk_writer *w = *writer;
    if (!w)
        return;
    if (w->in_thread)
        wait_for(&w->ended);
    if (w->has_thread) {
        w->leave = true;
        sem_post(&w->begun);
        pthread_join(w->thread, NULL);
    }
    sem_destroy(&w->begun);
    sem_destroy(&w->ended);
    free(w);
    *writer = NULL;
}
