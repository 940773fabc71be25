#ifndef TALEA_COMMON_COMPLAINTS_H
#define TALEA_COMMON_COMPLAINTS_H
/*
 * What is wrong with the files that an operator writes. A start wants the first
 * fault, as one line; `talead check-config` wants them all. Whoever reads such
 * a file adds what he finds, and goes on unless complaints_suffice.
 */
#include <stdbool.h>
#include <stddef.h>

struct complaint {
    const char *setting; /* "TALEA_X"; NULL: about none */
    const char *file;    /* NULL: the environment */
    int line;            /* from 1; 0: about no line, or the whole file */
    const char *text;    /* all of it as one line, without any secret */
};

/* Zero-initialised but for where they go: the first of them as text, or each to a function. */
struct complaints {
    char *first;
    size_t first_size;
    void (*each)(void *context, const struct complaint *complaint);
    void *context;
    size_t count;
};

/* Returns EINVAL. `format` makes the text. */
int complaints_add(struct complaints *c, const char *setting, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Is there one, and nobody who wants more? */
bool complaints_suffice(const struct complaints *c);

#endif
