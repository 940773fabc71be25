#include "server/segment_copy.h"

/* Small batches are gathered into chunks, since every write costs a wait for the disk. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/data_dir.h"
#include "common/exit_status.h"
#include "common/paced_file.h"
#include "common/report.h"

#define CHUNK_BYTES (256u << 10)

struct segment_copy {
    char *temporary, *final;
    struct paced_file file;
    struct buffer chunk;
};

static int flush(struct segment_copy *c)
{
    int error = paced_file_append(&c->file, c->chunk.base, c->chunk.len);
    buffer_clear(&c->chunk);
    return error;
}

int segment_copy_append(struct segment_copy *c, struct bytes bytes)
{
    buffer_append(&c->chunk, bytes.base, bytes.len);
    return c->chunk.len < CHUNK_BYTES ? 0 : flush(c);
}

/* The first `length` bytes of the file that is there. */
static int append_kept(struct segment_copy *c, uint64_t length)
{
    int in = open(c->final, O_RDONLY | O_CLOEXEC);
    int error = in < 0 ? errno : 0;
    for (uint64_t done = 0; error == 0 && done < length;) {
        size_t want = length - done < CHUNK_BYTES ? (size_t)(length - done) : CHUNK_BYTES;
        ssize_t n = pread(in, buffer_reserve(&c->chunk, want), want, (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        error = n < 0 ? errno : n == 0 ? EIO : 0; /* it was read to there a moment ago */
        if (error == 0) {
            c->chunk.len += (size_t)n;
            done += (uint64_t)n;
            error = flush(c);
        }
    }
    if (in >= 0)
        close(in);
    return error;
}

static int append_header(struct segment_copy *c, const struct segment_header *header)
{
    uint8_t encoded[SEGMENT_HEADER_BYTES];
    segment_header_encode(header, encoded);
    return segment_copy_append(c, bytes_of(encoded, sizeof encoded));
}

int segment_copy_begin(const char *data_dir, const struct segment_header *header, uint64_t keep,
                       struct segment_copy **out)
{
    char name[SEGMENT_NAME_MAX];
    struct segment_copy *c = calloc(1, sizeof *c);
    if (!c)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    char *folder = data_dir_path(data_dir, DATA_DIR_LOG);
    segment_name(header->position, name);
    c->temporary = data_dir_path(folder, DATA_DIR_NEXT_SEGMENT);
    c->final = data_dir_path(folder, name);
    free(folder);
    int error = paced_unlink(c->temporary);
    c->file.bytes_per_s = PACED_BYTES_PER_S;
    c->file.fd = error && error != ENOENT ? -1 : open(c->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (error == 0 || error == ENOENT)
        error = c->file.fd < 0 ? errno : keep ? append_kept(c, keep) : append_header(c, header);
    if (error)
        segment_copy_abandon(&c);
    *out = c;
    return error;
}

static void release(struct segment_copy **copy)
{
    struct segment_copy *c = *copy;
    if (c->file.fd >= 0)
        close(c->file.fd);
    buffer_free(&c->chunk);
    free(c->temporary);
    free(c->final);
    free(c);
    *copy = NULL;
}

int segment_copy_finish(struct segment_copy **copy)
{
    struct segment_copy *c = *copy;
    int error = flush(c);
    if (error == 0)
        error = paced_file_sync(&c->file);
    if (error == 0)
        error = paced_replace(c->temporary, c->final);
    release(copy);
    return error;
}

void segment_copy_abandon(struct segment_copy **copy)
{
    if (!*copy)
        return;
    unlink((*copy)->temporary);
    release(copy);
}
