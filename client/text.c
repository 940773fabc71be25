/*
 * A growing text, doubled when it is full. Callers bound what comes from
 * outside: nothing here does.
 */
#include "client/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/status.h"

static void reserve(struct text *t, size_t n)
{
    if (t->room - t->len > n)
        return;
    size_t room = (t->len + n + 1) * 2;
    char *base = realloc(t->base, room);
    if (!base)
        out_of_memory();
    t->base = base;
    t->room = room;
}

void text_add(struct text *t, const char *bytes, size_t n)
{
    reserve(t, n);
    if (n)
        memcpy(t->base + t->len, bytes, n);
    t->len += n;
    t->base[t->len] = '\0';
}

void text_add_string(struct text *t, const char *s)
{
    text_add(t, s, strlen(s));
}

void text_printf(struct text *t, const char *format, ...)
{
    char *added;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&added, format, args);
    va_end(args);
    if (n < 0)
        out_of_memory();
    text_add(t, added, (size_t)n);
    free(added);
}

void text_clear(struct text *t)
{
    t->len = 0;
    if (t->base)
        t->base[0] = '\0';
}

void text_free(struct text *t)
{
    free(t->base);
    *t = (struct text){0};
}
