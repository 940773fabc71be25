#include "tests/bench/outcomes.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "tests/bench/say.h"

#define SIZE_BYTES (OUTCOMES_MAX * sizeof(uint32_t))

void outcomes_open(struct outcomes *o)
{
    o->count = 0;
    o->values = mmap(NULL, SIZE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (o->values == MAP_FAILED) {
        say("out of memory");
        exit(STATUS_FAILED);
    }
}

void outcomes_close(struct outcomes *o)
{
    if (o->values)
        munmap(o->values, SIZE_BYTES);
    *o = (struct outcomes){0};
}
