#include "common/small_folios.h"

#include <fcntl.h>
#include <stdint.h>

#include "common/durable_file.h"

#define PAGE_BYTES 4096

void small_folios_for_reads(int fd)
{
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
}

int small_folios_write(int fd, const void *p, size_t n, off_t offset)
{
    const uint8_t *from = p;
    int error = 0;
    for (size_t done = 0; error == 0 && done < n; done += PAGE_BYTES)
        error = write_fully(fd, from + done, n - done < PAGE_BYTES ? n - done : PAGE_BYTES, offset + (off_t)done);
    return error;
}
