#include "common/key_mark.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/data_dir.h"
#include "common/digest.h"
#include "common/durable_file.h"
#include "common/lmdb_pages.h"
#include "common/small_file.h"

#define MARK_NAME "STATE"
#define MARK_MAX 256

struct mark {
    uint64_t transaction, bytes;
    uint32_t pages_crc;
};

/* Returns the length. */
static size_t format(const struct mark *mark, char text[static MARK_MAX])
{
    int n = snprintf(text, MARK_MAX, "transaction %" PRIu64 "\nbytes %" PRIu64 "\npages %08" PRIx32 "\n",
                     mark->transaction, mark->bytes, mark->pages_crc);
    n += snprintf(text + n, (size_t)(MARK_MAX - n), "crc %08" PRIx32 "\n", crc32c(0, text, (size_t)n));
    return (size_t)n;
}

/* Its numbers are taken from it, and it must be what they give. */
static int parse(struct bytes content, struct mark *out)
{
    char text[MARK_MAX], expected[MARK_MAX];
    if (content.len == 0 || content.len >= sizeof text)
        return EBADMSG;
    memcpy(text, content.base, content.len);
    text[content.len] = '\0';
    if (sscanf(text, "transaction %" SCNu64 " bytes %" SCNu64 " pages %" SCNx32, &out->transaction, &out->bytes,
               &out->pages_crc) != 3)
        return EBADMSG;
    return format(out, expected) == content.len && memcmp(text, expected, content.len) == 0 ? 0 : EBADMSG;
}

static int read_mark(const char *path, struct mark *out)
{
    struct buffer content = {0};
    char *file = data_dir_path(path, MARK_NAME);
    int error = small_file_read(file, MARK_MAX - 1, &content);
    free(file);
    if (error)
        return error == EFBIG ? EBADMSG : error;
    error = parse(buffer_bytes(&content), out);
    buffer_free(&content);
    return error;
}

static int open_data(const char *path)
{
    char *file = data_dir_path(path, "data.mdb");
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    free(file);
    return fd;
}

/* What the mark of the file as it is now would say; ESTALE: somebody commits. */
static int take(const char *path, struct mark *out)
{
    struct stat st;
    int fd = open_data(path);
    int error = fd < 0 || fstat(fd, &st) != 0 ? errno : lmdb_pages_crc(fd, &out->transaction, &out->pages_crc);
    if (fd < 0)
        return error;
    out->bytes = error ? 0 : (uint64_t)st.st_size;
    close(fd);
    return error;
}

int key_mark_check(const char *path)
{
    struct mark mark, now;
    int error = read_mark(path, &mark);
    if (error)
        return error;
    error = take(path, &now);
    if (error == ENOENT)
        return EBADMSG;
    if (error)
        return error;
    if (now.bytes < mark.bytes)
        return EBADMSG;
    if (now.transaction == mark.transaction + 1)
        return ESTALE;
    return now.transaction == mark.transaction && now.pages_crc == mark.pages_crc ? 0 : EBADMSG;
}

int key_mark_write(const char *path)
{
    char text[MARK_MAX];
    struct mark mark;
    int error = take(path, &mark);
    if (error)
        return error;
    size_t length = format(&mark, text);
    char *file = data_dir_path(path, MARK_NAME);
    error = durable_replace(file, bytes_of(text, length));
    free(file);
    return error;
}
