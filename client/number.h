#ifndef TALEA_CLIENT_NUMBER_H
#define TALEA_CLIENT_NUMBER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Digits with an optional sign, nothing around them, within 64 bits. Else false, and *out is untouched. */
bool number_parse(const char *s, size_t length, int64_t *out);

#endif
