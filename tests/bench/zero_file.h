#ifndef TALEA_BENCH_ZERO_FILE_H
#define TALEA_BENCH_ZERO_FILE_H
/*
 * A file for measuring, as talea's log is where it will be written next: filled
 * with zeros and synced, so that a write into it changes data alone.
 */
#include <stdint.h>

/* A file in `dir` without a name, so that nothing stays. Its descriptor; ends the process where there can be none. */
int zero_file_open(const char *dir, uint64_t bytes);

#endif
