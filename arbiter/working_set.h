#ifndef TALEA_ARBITER_WORKING_SET_H
#define TALEA_ARBITER_WORKING_SET_H
/*
 * The books, accounts, assets and sums that drafts are touching: read from the
 * index once, changed in memory while a group commit is decided, written to
 * the index in one pass when its batch is durable. Entries stay afterwards as
 * a bounded cache in front of the index (equal to it between groups).
 *
 * An error while reading the index has no good answer in the middle of a
 * group: it ends the process with one line, the restart reads afresh.
 */
#include <stdbool.h>
#include <stdint.h>

#include "arbiter/index_changes.h"
#include "arbiter/index_writer.h"
#include "common/ledger.h"

struct working_set;

struct book_entry;
struct account_entry;

struct working_set *working_set_create(struct index_writer *index);
void working_set_destroy(struct working_set **set);

/* The numbers given so far, and the meta row that is written with the rest. */
struct index_meta *working_set_meta(struct working_set *set);

/* NULL when there is none. */
struct book_entry *working_set_find_book(struct working_set *set, struct bytes name);
/* The same, made with the next number when there is none. */
struct book_entry *working_set_book(struct working_set *set, struct bytes name);
struct book_row *book_entry_row(struct book_entry *book);

struct account_entry *working_set_find_account(struct working_set *set, struct book_entry *book, struct bytes path);
struct account_entry *working_set_new_account(struct working_set *set, struct book_entry *book,
                                              const struct account_definition *definition, uint32_t asset_no);
/* The entry's part that the rules see; and back. */
struct ledger_account *account_entry_rules(struct account_entry *account);
struct account_entry *account_entry_of_rules(struct ledger_account *rules);
const struct account_row *account_entry_row(const struct account_entry *account);

/*
 * After a verdict of POSTED: takes next_debits and next_credits over, adds the
 * difference to the book's sums, and the seq to the account's tail. A block
 * that the tail becomes goes to `changes`.
 */
void working_set_apply(struct working_set *set, struct account_entry *account, struct book_entry *book, uint64_t seq,
                       struct index_changes *changes);

/* 0 when the id is not registered. */
uint32_t working_set_find_asset(struct working_set *set, struct bytes id);
/* The packed definition; asset_no must exist. */
struct bytes working_set_asset(struct working_set *set, uint32_t asset_no);
uint32_t working_set_new_asset(struct working_set *set, struct bytes id, struct bytes packed);

/* How much working_set_write will put. */
void working_set_weigh(const struct working_set *set, uint64_t *put_count, uint64_t *put_bytes);
/* Puts all that changed, and the meta row, into the index's open transaction. */
int working_set_write(struct working_set *set) __attribute__((warn_unused_result));
/* After the commit: everything equals the index again; the cache is cut down when it has grown large. */
void working_set_settled(struct working_set *set);

#endif
