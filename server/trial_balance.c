#include "server/trial_balance.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "common/exit_status.h"
#include "common/report.h"

/* Sums by asset while a trial balance is added up. */
struct asset_sum {
    uint32_t asset_no;
    u128 debits, credits;
    UT_hash_handle hh;
};

static void *must(void *p)
{
    if (!p)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory while adding up a trial balance");
    return p;
}

static int add_to_sum(struct asset_sum **sums, uint32_t asset_no, u128 debits, u128 credits)
{
    struct asset_sum *s;
    HASH_FIND(hh, *sums, &asset_no, sizeof asset_no, s);
    if (!s) {
        s = must(calloc(1, sizeof *s));
        s->asset_no = asset_no;
        HASH_ADD(hh, *sums, asset_no, sizeof s->asset_no, s);
    }
    return __builtin_add_overflow(s->debits, debits, &s->debits) ||
                   __builtin_add_overflow(s->credits, credits, &s->credits)
               ? EOVERFLOW
               : 0;
}

/* What adds rows up, and of which book at which seq. */
struct summing {
    struct index_reader *reader;
    uint32_t book_no;
    uint64_t seq;
    struct asset_sum **sums;
};

static int add_sum_row(void *context, struct bytes key, struct bytes value)
{
    struct summing *s = context;
    struct sum_row row;
    if (key.len != 8 || value.len != sizeof row)
        return EIO;
    memcpy(&row, value.base, sizeof row);
    return add_to_sum(s->sums, key_u32(key.base + 4), row.debits, row.credits);
}

static int add_past_account(void *context, struct bytes key, struct bytes value)
{
    struct summing *s = context;
    struct account_value account;
    struct account_sums at;
    (void)key;
    int error = account_value_read(value, &account);
    if (error == 0)
        error = index_account_at(s->reader, s->book_no, &account, s->seq, &at);
    if (error || at.updated_seq == 0)
        return error;
    return add_to_sum(s->sums, account.row.asset_no, at.debits, at.credits);
}

/* As they stand there is a row for each asset; at a seq in the past it is one lookup for each account of the book. */
static int add_up(struct index_reader *r, uint32_t book_no, uint64_t seq, struct asset_sum **sums)
{
    uint8_t prefix[4];
    struct summing s = {r, book_no, seq, sums};
    struct bytes of_book = bytes_of(prefix, number_key(book_no, prefix));
    return seq == UINT64_MAX ? index_each_row(r, TABLE_SUMS, of_book, add_sum_row, &s)
                             : index_each_row(r, TABLE_ACCOUNTS, of_book, add_past_account, &s);
}

static int compare_lines(const void *a, const void *b)
{
    const struct trial_line *x = a, *y = b;
    size_t shorter = x->asset.len < y->asset.len ? x->asset.len : y->asset.len;
    int order = shorter ? memcmp(x->asset.base, y->asset.base, shorter) : 0;
    return order ? order : (x->asset.len > y->asset.len) - (x->asset.len < y->asset.len);
}

static int lines_of_sums(struct index_reader *r, struct asset_sum *sums, struct trial_line **lines, size_t *count)
{
    *count = 0;
    *lines = must(calloc(HASH_COUNT(sums) + 1, sizeof **lines));
    for (struct asset_sum *s = sums; s; s = s->hh.next) {
        struct asset_definition asset;
        int error = index_asset(r, s->asset_no, &asset);
        if (error)
            return error == ENOENT ? EIO : error;
        (*lines)[(*count)++] = (struct trial_line){asset.id, s->debits, s->credits};
    }
    qsort(*lines, *count, sizeof **lines, compare_lines);
    return 0;
}

int trial_balance_read(struct index_reader *r, uint32_t book_no, uint64_t seq, struct trial_line **lines, size_t *count)
{
    struct asset_sum *sums = NULL, *s, *next;
    *lines = NULL;
    int error = add_up(r, book_no, seq, &sums);
    if (error == 0)
        error = lines_of_sums(r, sums, lines, count);
    HASH_ITER(hh, sums, s, next)
    {
        HASH_DEL(sums, s);
        free(s);
    }
    if (error) {
        free(*lines);
        *lines = NULL;
    }
    return error;
}
