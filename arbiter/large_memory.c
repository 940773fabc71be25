#include "arbiter/large_memory.h"

#include <sys/mman.h>

#define LARGE_PAGE_BYTES (2u << 20)

void *large_alloc(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    if (bytes >= LARGE_PAGE_BYTES)
        (void)madvise(memory, bytes, MADV_HUGEPAGE); /* a kernel without them: ordinary pages do as well */
    return memory;
}

void large_free(void *memory, size_t bytes)
{
    if (memory)
        (void)munmap(memory, bytes);
}
