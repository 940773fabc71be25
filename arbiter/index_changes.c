#include "arbiter/index_changes.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/exit_status.h"
#include "common/report.h"

#define SWEEP_LEAST 16 /* rows for which a cursor pays */

struct posting_change {
    uint8_t key[16];
    struct posting_row row;
    const uint8_t *entries;
};

struct event_change {
    uint8_t key[12];
    struct event_row row;
};

struct transaction_change {
    struct uuid id;
    struct transaction_row row;
};

struct index_changes {
    struct posting_change *postings;
    struct event_change *events;
    struct transaction_change *transactions;
    size_t posting_count, posting_room;
    size_t event_count, event_room;
    size_t transaction_count, transaction_room;
    uint64_t entry_bytes;
};

static void *grow(void *items, size_t *room, size_t count, size_t size)
{
    if (count < *room)
        return items;
    *room = *room ? *room * 2 : 256;
    items = realloc(items, *room * size);
    if (!items)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory in a group commit");
    return items;
}

struct index_changes *index_changes_create(void)
{
    struct index_changes *c = calloc(1, sizeof *c);
    if (!c)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    return c;
}

void index_changes_destroy(struct index_changes **changes)
{
    if (!*changes)
        return;
    free((*changes)->postings);
    free((*changes)->events);
    free((*changes)->transactions);
    free(*changes);
    *changes = NULL;
}

void index_changes_clear(struct index_changes *c)
{
    c->posting_count = c->event_count = c->transaction_count = 0;
    c->entry_bytes = 0;
}

void index_changes_posting(struct index_changes *c, uint64_t account_no, uint64_t seq, const struct posting_row *row,
                           const uint8_t *entries)
{
    c->postings = grow(c->postings, &c->posting_room, c->posting_count, sizeof *c->postings);
    struct posting_change *change = &c->postings[c->posting_count++];
    posting_table_key(account_no, seq, change->key);
    change->row = *row;
    change->entries = entries;
    c->entry_bytes += (uint64_t)row->posting_count * POSTING_ENTRY_BYTES;
}

void index_changes_event(struct index_changes *c, uint32_t book_no, uint64_t seq, const struct event_row *row)
{
    c->events = grow(c->events, &c->event_room, c->event_count, sizeof *c->events);
    struct event_change *change = &c->events[c->event_count++];
    event_table_key(book_no, seq, change->key);
    change->row = *row;
}

void index_changes_transaction(struct index_changes *c, struct uuid id, uint32_t book_no, uint64_t seq)
{
    c->transactions = grow(c->transactions, &c->transaction_room, c->transaction_count, sizeof *c->transactions);
    c->transactions[c->transaction_count++] =
        (struct transaction_change){id, {.seq = seq, .book_no = book_no}};
}

void index_changes_weigh(const struct index_changes *c, uint64_t *put_count, uint64_t *put_bytes)
{
    *put_count = c->posting_count + c->event_count + c->transaction_count;
    *put_bytes = c->posting_count * sizeof *c->postings + c->entry_bytes + c->event_count * sizeof *c->events +
                 c->transaction_count * sizeof *c->transactions;
}

/* Each kind of change begins with its key; big-endian numbers compare as memcmp would, without the call. */
static int compare_numbers(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare_16(const void *a, const void *b)
{
    int order = compare_numbers(key_u64(a), key_u64(b));
    return order ? order : compare_numbers(key_u64((const uint8_t *)a + 8), key_u64((const uint8_t *)b + 8));
}

static int compare_12(const void *a, const void *b)
{
    int order = compare_numbers(key_u64(a), key_u64(b));
    return order ? order : compare_numbers(key_u32((const uint8_t *)a + 8), key_u32((const uint8_t *)b + 8));
}

static bool is_sorted(const uint8_t *items, size_t count, size_t size, int (*compare)(const void *, const void *))
{
    for (size_t i = 1; i < count; i++)
        if (compare(items + (i - 1) * size, items + i * size) > 0)
            return false;
    return true;
}

static void sort(void *items, size_t count, size_t size, int (*compare)(const void *, const void *))
{
    if (!is_sorted(items, count, size, compare))
        qsort(items, count, size, compare);
}

static int write_postings(const struct index_changes *c, struct index_writer *index)
{
    int error = 0;
    for (size_t i = 0; error == 0 && i < c->posting_count; i++) {
        const struct posting_change *p = &c->postings[i];
        error = index_writer_put_two(index, TABLE_POSTINGS, p->key, sizeof p->key, &p->row, sizeof p->row, p->entries,
                                     (size_t)p->row.posting_count * POSTING_ENTRY_BYTES);
    }
    return error;
}

static int write_events(const struct index_changes *c, struct index_writer *index)
{
    int error = 0;
    for (size_t i = 0; error == 0 && i < c->event_count; i++) {
        const struct event_change *e = &c->events[i];
        error = index_writer_put(index, TABLE_EVENTS, e->key, sizeof e->key, &e->row, sizeof e->row);
    }
    return error;
}

static int write_transactions(const struct index_changes *c, struct index_writer *index)
{
    int error = 0;
    for (size_t i = 0; error == 0 && i < c->transaction_count; i++) {
        const struct transaction_change *t = &c->transactions[i];
        error = index_writer_put(index, TABLE_TRANSACTIONS, t->id.octets, sizeof t->id.octets, &t->row, sizeof t->row);
    }
    return error;
}

typedef int write_fn(const struct index_changes *changes, struct index_writer *index);

static int write_sorted(const struct index_changes *c, struct index_writer *index, enum index_table table,
                        size_t count, write_fn *write)
{
    if (count < SWEEP_LEAST)
        return write(c, index);
    int error = index_writer_sweep(index, table);
    if (error == 0)
        error = write(c, index);
    index_writer_sweep_end(index);
    return error;
}

int index_changes_write(struct index_changes *c, struct index_writer *index)
{
    sort(c->postings, c->posting_count, sizeof *c->postings, compare_16);
    sort(c->events, c->event_count, sizeof *c->events, compare_12);
    sort(c->transactions, c->transaction_count, sizeof *c->transactions, compare_16);
    int error = write_sorted(c, index, TABLE_POSTINGS, c->posting_count, write_postings);
    if (error == 0)
        error = write_sorted(c, index, TABLE_EVENTS, c->event_count, write_events);
    if (error == 0)
        error = write_sorted(c, index, TABLE_TRANSACTIONS, c->transaction_count, write_transactions);
    return error;
}
