/*
 * small_file.h once more, for fuzzing, in place of the library's: memory of the file's exact size, where that one makes
 * room for the greatest file allowed. So a sanitizer sees a look behind the end, and an input takes microseconds
 * instead of milliseconds. The library's own is tested where there is no need of haste.
 */
#include "common/small_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

int small_file_read(const char *path, size_t max_bytes, struct buffer *out)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    FUZZ_HOLDS(fstat(fd, &st) == 0);
    if ((uint64_t)st.st_size > max_bytes) {
        close(fd);
        return EFBIG;
    }
    out->capacity = out->len = (size_t)st.st_size;
    out->base = malloc(out->len ? out->len : 1);
    FUZZ_HOLDS(out->base && pread(fd, out->base, out->len, 0) == (ssize_t)out->len);
    close(fd);
    return 0;
}

void small_file_wipe(struct buffer *b)
{
    buffer_free(b);
}
