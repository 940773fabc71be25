#include "tests/bench/say.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

volatile sig_atomic_t interrupted;

void say(const char *format, ...)
{
    char line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    fprintf(stderr, "talea-bench: %s\n", line);
}

static void *or_end(void *memory)
{
    if (!memory) {
        say("out of memory");
        exit(STATUS_FAILED);
    }
    return memory;
}

void *need(size_t count, size_t size)
{
    return or_end(calloc(count, size));
}

void *need_more(void *old, size_t bytes)
{
    return or_end(realloc(old, bytes));
}
