/*
 * Room for the greatest file allowed is made at once: growing step by step
 * would leave pieces of a secret in freed memory. Works on pipes as well as on
 * files, since it never asks for a size.
 */
#include "common/small_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int read_all(int fd, size_t max_bytes, struct buffer *out)
{
    while (out->len <= max_bytes) {
        ssize_t n = read(fd, out->base + out->len, max_bytes + 1 - out->len);
        if (n == 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return errno;
        if (n > 0)
            out->len += (size_t)n;
    }
    return EFBIG;
}

int small_file_read(const char *path, size_t max_bytes, struct buffer *out)
{
    assert(out->len == 0);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return errno;
    buffer_reserve(out, max_bytes + 1);
    int error = read_all(fd, max_bytes, out);
    close(fd);
    if (error)
        small_file_wipe(out);
    return error;
}

void small_file_wipe(struct buffer *b)
{
    if (b->base)
        explicit_bzero(b->base, b->capacity);
    buffer_free(b);
}
