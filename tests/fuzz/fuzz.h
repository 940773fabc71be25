#ifndef TALEA_TESTS_FUZZ_FUZZ_H
#define TALEA_TESTS_FUZZ_FUZZ_H
/*
 * What fuzz targets share. A target is one file with fuzz_one; it is linked twice: with libFuzzer (make fuzz), and
 * with replay.c, which runs the files of its seed corpus (make check, any compiler).
 *
 * An input comes in memory of its exact size, so that a sanitizer sees each look beside it. A target keeps nothing
 * from one input to the next, and ends the process when a property does not hold.
 */
#include <stddef.h>
#include <stdint.h>

#include "common/bytes.h"

/* The entry that libFuzzer calls. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the process with the line and the property that does not hold. Stays whatever NDEBUG says. */
#define FUZZ_HOLDS(property) ((property) ? (void)0 : fuzz_broken(__FILE__, __LINE__, #property))
void fuzz_broken(const char *file, int line, const char *property) __attribute__((noreturn));

/* A copy in memory of exactly its length; to be freed. Also of nothing. */
uint8_t *fuzz_copy(struct bytes bytes);

/* Cuts `input` at the first `mark`; what is behind it, or nothing, is *rest. */
struct bytes fuzz_cut(struct bytes input, const char *mark, struct bytes *rest);

/* Is the text one line of UTF-8 without control characters, and not empty? What an operator or a client is told. */
int fuzz_is_one_line(const char *text);

/* A file in memory with a path to open it by; the same one is filled anew for each input. */
struct fuzz_file {
    int fd; /* 0: not made yet */
    char path[40];
};
void fuzz_file_fill(struct fuzz_file *file, struct bytes content);

/* Lines of the log go nowhere: thousands a second would be all that this does. */
void fuzz_silence_report(void);

#endif
