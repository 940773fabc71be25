#include "arbiter/index_changes.h"

/*
 * Rows stay where they were collected; sorted is a list of their keys as
 * numbers, with their places. Most of it is in order as it comes: events of a
 * book, transactions by their milliseconds, an account's blocks.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/decimal.h"
#include "common/exit_status.h"
#include "common/report.h"

#define SWEEP_LEAST 16 /* rows for which a cursor pays */

struct block_change {
    uint8_t key[16];
    uint64_t seqs[POSTING_TAIL_MAX];
};

struct event_change {
    uint8_t key[12];
    struct event_row row;
    size_t at, length; /* in posted */
};

struct transaction_change {
    struct uuid id;
    struct transaction_row row;
};

/* A row to be put in order: its key as a number, which compares as memcmp would, and where it is. */
struct place {
    u128 key;
    size_t at;
};

struct index_changes {
    struct block_change *blocks;
    struct event_change *events;
    struct transaction_change *transactions;
    size_t block_count, block_room;
    size_t event_count, event_room;
    size_t transaction_count, transaction_room;
    struct buffer posted; /* what lies behind the rows of events */
    struct place *places, *merged; /* of one table after another */
    size_t place_room;
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
    free((*changes)->blocks);
    buffer_free(&(*changes)->posted);
    free((*changes)->events);
    free((*changes)->transactions);
    free((*changes)->places);
    free((*changes)->merged);
    free(*changes);
    *changes = NULL;
}

void index_changes_clear(struct index_changes *c)
{
    c->block_count = c->event_count = c->transaction_count = 0;
    buffer_clear(&c->posted);
}

void index_changes_block(struct index_changes *c, uint64_t account_no, const uint64_t seqs[static POSTING_TAIL_MAX])
{
    c->blocks = grow(c->blocks, &c->block_room, c->block_count, sizeof *c->blocks);
    struct block_change *change = &c->blocks[c->block_count++];
    posting_table_key(account_no, seqs[0], change->key);
    memcpy(change->seqs, seqs, sizeof change->seqs);
}

void index_changes_event(struct index_changes *c, uint32_t book_no, uint64_t seq, const struct event_row *row,
                         struct bytes posted)
{
    c->events = grow(c->events, &c->event_room, c->event_count, sizeof *c->events);
    struct event_change *change = &c->events[c->event_count++];
    event_table_key(book_no, seq, change->key);
    change->row = *row;
    change->at = c->posted.len;
    change->length = posted.len;
    buffer_append(&c->posted, posted.base, posted.len);
}

void index_changes_transaction(struct index_changes *c, struct uuid id, uint32_t book_no, uint64_t seq)
{
    c->transactions = grow(c->transactions, &c->transaction_room, c->transaction_count, sizeof *c->transactions);
    c->transactions[c->transaction_count++] =
        (struct transaction_change){id, {.seq = seq, .book_no = book_no}};
}

void index_changes_weigh(const struct index_changes *c, uint64_t *put_count, uint64_t *put_bytes)
{
    *put_count = c->block_count + c->event_count + c->transaction_count;
    *put_bytes = c->block_count * sizeof *c->blocks + c->event_count * sizeof *c->events + c->posted.len +
                 c->transaction_count * sizeof *c->transactions;
}

/* --- order --- */

static u128 key_16(const uint8_t *key)
{
    return (u128)key_u64(key) << 64 | key_u64(key + 8);
}

static u128 key_12(const uint8_t *key)
{
    return (u128)key_u32(key) << 64 | key_u64(key + 4);
}

/* Two sorted neighbours, [begin, middle) and [middle, end), become one in `to`. */
static void merge(const struct place *from, struct place *to, size_t begin, size_t middle, size_t end)
{
    size_t left = begin, right = middle;
    if (from[middle - 1].key <= from[middle].key) {
        memcpy(to + begin, from + begin, (end - begin) * sizeof *to);
        return;
    }
    for (size_t at = begin; at < end; at++) {
        bool take_left = right == end || (left < middle && from[left].key <= from[right].key);
        to[at] = from[take_left ? left : right];
        left += take_left;
        right += !take_left;
    }
}

/* Merges ever longer runs, back and forth between the two arrays; returns the one that is sorted. */
static const struct place *sort(struct place *places, struct place *merged, size_t count)
{
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t begin = 0; begin < count; begin += 2 * width) {
            size_t rest = count - begin;
            if (rest > width)
                merge(places, merged, begin, begin + width, rest > 2 * width ? begin + 2 * width : count);
            else
                memcpy(merged + begin, places + begin, rest * sizeof *merged);
        }
        struct place *sorted = merged;
        merged = places;
        places = sorted;
    }
    return places;
}

/* The places of `count` changes of `size` bytes, which begin with their keys, in the order of these. */
static const struct place *order_of(struct index_changes *c, const void *items, size_t count, size_t size,
                                    u128 (*key)(const uint8_t *))
{
    const uint8_t *item = items;
    bool sorted = true;
    for (size_t i = 0; i < count; i++, item += size) {
        c->places[i] = (struct place){key(item), i};
        sorted = sorted && (i == 0 || c->places[i - 1].key <= c->places[i].key);
    }
    return sorted ? c->places : sort(c->places, c->merged, count);
}

static void make_places(struct index_changes *c)
{
    size_t most = c->block_count;
    if (most < c->event_count)
        most = c->event_count;
    if (most < c->transaction_count)
        most = c->transaction_count;
    if (most <= c->place_room)
        return;
    free(c->places);
    free(c->merged);
    c->place_room = 2 * most;
    c->places = malloc(c->place_room * sizeof *c->places);
    c->merged = malloc(c->place_room * sizeof *c->merged);
    if (!c->places || !c->merged)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory in a group commit");
}

/* --- writing --- */

static int write_blocks(const struct index_changes *c, const struct place *order, struct index_writer *index)
{
    int error = 0;
    for (size_t i = 0; error == 0 && i < c->block_count; i++) {
        const struct block_change *b = &c->blocks[order[i].at];
        error = index_writer_put(index, TABLE_POSTINGS, b->key, sizeof b->key, b->seqs, sizeof b->seqs);
    }
    return error;
}

static int write_events(const struct index_changes *c, const struct place *order, struct index_writer *index)
{
    int error = 0;
    for (size_t i = 0; error == 0 && i < c->event_count; i++) {
        const struct event_change *e = &c->events[order[i].at];
        struct bytes posted = e->length ? bytes_of(c->posted.base + e->at, e->length) : bytes_of(NULL, 0);
        const struct bytes parts[] = {bytes_of(&e->row, sizeof e->row), posted};
        error = index_writer_put_parts(index, TABLE_EVENTS, e->key, sizeof e->key, parts, 2);
    }
    return error;
}

static int write_transactions(const struct index_changes *c, const struct place *order, struct index_writer *index)
{
    int error = 0;
    for (size_t i = 0; error == 0 && i < c->transaction_count; i++) {
        const struct transaction_change *t = &c->transactions[order[i].at];
        error = index_writer_put(index, TABLE_TRANSACTIONS, t->id.octets, sizeof t->id.octets, &t->row, sizeof t->row);
    }
    return error;
}

typedef int write_fn(const struct index_changes *changes, const struct place *order, struct index_writer *index);

static int write_sorted(const struct index_changes *c, const struct place *order, struct index_writer *index,
                        enum index_table table, size_t count, write_fn *write)
{
    if (count < SWEEP_LEAST)
        return write(c, order, index);
    int error = index_writer_sweep(index, table);
    if (error == 0)
        error = write(c, order, index);
    index_writer_sweep_end(index);
    return error;
}

int index_changes_write(struct index_changes *c, struct index_writer *index)
{
    make_places(c);
    const struct place *order = order_of(c, c->blocks, c->block_count, sizeof *c->blocks, key_16);
    int error = write_sorted(c, order, index, TABLE_POSTINGS, c->block_count, write_blocks);
    if (error)
        return error;
    order = order_of(c, c->events, c->event_count, sizeof *c->events, key_12);
    error = write_sorted(c, order, index, TABLE_EVENTS, c->event_count, write_events);
    if (error)
        return error;
    order = order_of(c, c->transactions, c->transaction_count, sizeof *c->transactions, key_16);
    return write_sorted(c, order, index, TABLE_TRANSACTIONS, c->transaction_count, write_transactions);
}
