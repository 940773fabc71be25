#include "common/posting_rows.h"

/* Everything is copied out before use: rows lie at any address of the index's mapping. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- what a transaction did --- */

static int compare_accounts(const void *a, const void *b)
{
    uint64_t x = ((const struct posted_account *)a)->account_no, y = ((const struct posted_account *)b)->account_no;
    return (x > y) - (x < y);
}

void posted_append(struct buffer *value, struct uuid tx_id, struct posted_account *accounts, uint32_t count,
                   const uint8_t *entries, uint32_t entry_count)
{
    qsort(accounts, count, sizeof *accounts, compare_accounts);
    buffer_append(value, &tx_id, sizeof tx_id);
    buffer_append(value, &count, sizeof count);
    buffer_append(value, accounts, count * sizeof *accounts);
    buffer_append(value, entries, (size_t)entry_count * POSTING_ENTRY_BYTES);
}

static bool take(struct bytes *from, void *to, size_t n)
{
    if (from->len < n)
        return false;
    memcpy(to, from->base, n);
    *from = bytes_of(from->base + n, from->len - n);
    return true;
}

/* One of the `count` accounts at `base`, by its number. */
static bool search(const uint8_t *base, uint32_t count, uint64_t account_no, struct posted_account *out)
{
    uint32_t low = 0;
    while (low < count) {
        uint32_t middle = low + (count - low) / 2;
        memcpy(out, base + middle * sizeof *out, sizeof *out);
        if (out->account_no == account_no)
            return true;
        if (out->account_no < account_no)
            low = middle + 1;
        else
            count = middle;
    }
    return false;
}

int posted_find(struct bytes event, uint64_t seq, uint64_t account_no, struct posting_row *out)
{
    struct event_row row;
    struct posted_account account;
    struct uuid tx_id;
    uint32_t count;
    if (!take(&event, &row, sizeof row))
        return EIO;
    if (event.len == 0) /* no transaction */
        return ENOENT;
    if (!take(&event, &tx_id, sizeof tx_id) || !take(&event, &count, sizeof count) ||
        event.len / sizeof account < count)
        return EIO;
    if (!search(event.base, count, account_no, &account))
        return ENOENT;
    struct bytes entries = bytes_of(event.base + count * sizeof account, event.len - count * sizeof account);
    if (((uint64_t)account.first_entry + account.posting_count) * POSTING_ENTRY_BYTES > entries.len)
        return EIO;
    *out = (struct posting_row){
        .seq = seq,
        .at_us = row.at_us,
        .tx_id = tx_id,
        .debits = account.debits,
        .credits = account.credits,
        .posting_count = account.posting_count,
        .entries = entries.base + (size_t)account.first_entry * POSTING_ENTRY_BYTES,
    };
    return 0;
}

void posting_entry_put(uint8_t *entries, uint32_t i, const struct posting *posting)
{
    uint8_t *entry = entries + (size_t)i * POSTING_ENTRY_BYTES;
    memcpy(entry, &posting->minor, sizeof posting->minor);
    entry[8] = (uint8_t)posting->direction;
}

void posting_entry(const uint8_t *entries, uint32_t i, int64_t *minor, enum direction *direction)
{
    const uint8_t *entry = entries + (size_t)i * POSTING_ENTRY_BYTES;
    memcpy(minor, entry, sizeof *minor);
    *direction = entry[8] ? DIRECTION_CREDIT : DIRECTION_DEBIT;
}

/* --- what was done to an account --- */

int account_value_read(struct bytes value, struct account_value *out)
{
    if (!take(&value, &out->row, sizeof out->row))
        return EIO;
    size_t tail_bytes = out->row.tail_count * sizeof(uint64_t);
    if (out->row.tail_count > POSTING_TAIL_MAX || value.len < tail_bytes)
        return EIO;
    out->tail = bytes_of(value.base, tail_bytes);
    out->path = bytes_of(value.base + tail_bytes, value.len - tail_bytes);
    return 0;
}

uint64_t seq_until(struct bytes seqs, uint64_t seq)
{
    for (size_t i = seq_count(seqs); i-- > 0;)
        if (seq_at(seqs, i) <= seq)
            return seq_at(seqs, i);
    return 0;
}
