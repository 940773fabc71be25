#include "arbiter/index_copy.h"

/* LMDB writes its copy as fast as it can: into a pipe, whose other end a thread writes down at its own pace. */
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/digest.h"
#include "common/index_schema.h"

#define CHUNK_BYTES (256u << 10)

struct outlet {
    int from; /* the pipe */
    struct paced_file *out;
    uint32_t crc;
    int error;
};

/* A chunk, or less at the end. */
static int fill(int fd, uint8_t *chunk, size_t *length)
{
    *length = 0;
    while (*length < CHUNK_BYTES) {
        ssize_t n = read(fd, chunk + *length, CHUNK_BYTES - *length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        if (n == 0)
            return 0;
        *length += (size_t)n;
    }
    return 0;
}

/* Reads to the end also when nothing can be written any more: LMDB would wait for ever. */
static void *write_down(void *context)
{
    struct outlet *o = context;
    size_t length = 0;
    uint8_t *chunk = malloc(CHUNK_BYTES);
    int unread = chunk ? 0 : ENOMEM;
    while (unread == 0 && (unread = fill(o->from, chunk, &length)) == 0 && length > 0) {
        if (o->error == 0)
            o->error = paced_file_append(o->out, chunk, length);
        o->crc = crc32c(o->crc, chunk, length);
    }
    if (unread)
        o->error = unread;
    free(chunk);
    close(o->from);
    return NULL;
}

static int copy_into(const char *index_path, int fd)
{
    MDB_env *env;
    int error = mdb_env_create(&env);
    if (error == 0) {
        error = mdb_env_set_maxdbs(env, INDEX_TABLE_COUNT);
        if (error == 0)
            error = mdb_env_open(env, index_path, MDB_RDONLY | MDB_NOTLS, 0600);
        if (error == 0)
            error = mdb_env_copyfd2(env, fd, MDB_CP_COMPACT);
        mdb_env_close(env);
    }
    return error > 0 ? error : error ? EIO : 0;
}

int index_copy(const char *index_path, struct paced_file *out, uint32_t *crc)
{
    int ends[2];
    pthread_t thread;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return errno;
    struct outlet outlet = {.from = ends[0], .out = out};
    int error = pthread_create(&thread, NULL, write_down, &outlet);
    if (error) {
        close(ends[0]);
        close(ends[1]);
        return error;
    }
    error = copy_into(index_path, ends[1]);
    close(ends[1]);
    pthread_join(thread, NULL);
    *crc = outlet.crc;
    return outlet.error ? outlet.error : error;
}
