#ifndef TALEA_SERVER_TRIAL_BALANCE_H
#define TALEA_SERVER_TRIAL_BALANCE_H
/* A book's sums by asset, now and at any time past, added up from the index. */
#include <stddef.h>
#include <stdint.h>

#include "common/index_reader.h"

struct trial_line {
    struct bytes asset; /* its id, in the index's mapping */
    u128 debits, credits;
};

/*
 * Of the book's postings with seq <= `seq` (UINT64_MAX: all), sorted by asset
 * id, lines without any posting left out. *lines is newly allocated (free it),
 * and valid until index_reader_end. 0, EOVERFLOW, or what the reader returns.
 */
int trial_balance_read(struct index_reader *reader, uint32_t book_no, uint64_t seq, struct trial_line **lines,
                       size_t *count) __attribute__((warn_unused_result));

#endif
