#ifndef TALEA_CLIENT_TEXT_H
#define TALEA_CLIENT_TEXT_H
/* A growing text. Running out of memory ends the program with one line. Zero-initialised is empty. */
#include <stddef.h>

struct text {
    char *base; /* NUL-terminated once anything was added; NULL before */
    size_t len;
    size_t room;
};

void text_add(struct text *t, const char *bytes, size_t n);
void text_add_string(struct text *t, const char *s);
void text_printf(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_clear(struct text *t);
void text_free(struct text *t);

#endif
