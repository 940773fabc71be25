#ifndef TALEA_ARBITER_INDEX_CHANGES_H
#define TALEA_ARBITER_INDEX_CHANGES_H
/*
 * Rows that a group commit adds to the index's growing tables (blocks of
 * postings, events, transactions), collected while it is decided and put in
 * key order, one pass for each table: neighbours share their pages.
 */
#include <stdint.h>

#include "arbiter/index_writer.h"

struct index_changes;

struct index_changes *index_changes_create(void);
void index_changes_destroy(struct index_changes **changes);
void index_changes_clear(struct index_changes *changes);

void index_changes_block(struct index_changes *changes, uint64_t account_no,
                         const uint64_t seqs[static POSTING_TAIL_MAX]);
/* `posted`: what lies behind the row (posted_append); copied. */
void index_changes_event(struct index_changes *changes, uint32_t book_no, uint64_t seq, const struct event_row *row,
                         struct bytes posted);
void index_changes_transaction(struct index_changes *changes, struct uuid id, uint32_t book_no, uint64_t seq);

void index_changes_weigh(const struct index_changes *changes, uint64_t *put_count, uint64_t *put_bytes);
/* Into the index's open transaction. */
int index_changes_write(struct index_changes *changes, struct index_writer *index)
    __attribute__((warn_unused_result));

#endif
