#include "common/complaints.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define TEXT_MAX 1024

int complaints_add(struct complaints *c, const char *setting, const char *file, int line, const char *format, ...)
{
    char text[TEXT_MAX];
    struct complaint complaint = {setting, file, line, text};
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (c->each)
        c->each(c->context, &complaint);
    else if (c->count == 0)
        snprintf(c->first, c->first_size, "%s", text);
    c->count++;
    return EINVAL;
}

bool complaints_suffice(const struct complaints *c)
{
    return c->count > 0 && !c->each;
}
