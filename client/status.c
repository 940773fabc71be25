/* One line on stderr for what went wrong. The ledger's own errors are JSON and do not come through here. */
#include "client/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void complain(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("talea: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

_Noreturn void out_of_memory(void)
{
    complain("out of memory");
    exit(STATUS_UNREACHABLE);
}
