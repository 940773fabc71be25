#ifndef TALEA_TESTS_PAGE_COST_H
#define TALEA_TESTS_PAGE_COST_H
/* What a page that is changed through a mapping costs, by how its file came into the page cache. cmocka tests. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>

#define PAGE_BYTES 4096u

/* How many bytes this process has made dirty; counted when a clean folio becomes so. */
static inline uint64_t dirtied(void)
{
    char line[64];
    uint64_t bytes = UINT64_MAX;
    FILE *f = fopen("/proc/self/io", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "write_bytes: %" SCNu64, &bytes) == 1)
            break;
    if (f)
        fclose(f);
    return bytes;
}

/* One byte is changed in every 64th page of what is clean: no other page becomes dirty with it. */
static inline void assert_pages_are_dirtied_alone(int fd, size_t file_bytes)
{
    uint64_t before = dirtied(), pages = 0;
    if (before == UINT64_MAX)
        skip(); /* a kernel that does not count */
    uint8_t *map = mmap(NULL, file_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(map, MAP_FAILED);
    for (size_t at = 0; at < file_bytes; at += 64 * PAGE_BYTES, pages++)
        map[at] ^= 1;
    assert_in_range(dirtied() - before, 0, pages * PAGE_BYTES + 4 * PAGE_BYTES);
    assert_int_equal(munmap(map, file_bytes), 0);
}

#endif
