/* Rows of two whole settings, compared and exchanged: what a reload needs. */
#include <string.h>

#include "common/settings.h"

static bool is_number(const struct setting *row)
{
    return row->kind == SETTING_COUNT || row->kind == SETTING_WORD;
}

bool settings_equal(const struct setting *row, const struct settings *a, const struct settings *b)
{
    const void *x = (const char *)a + row->offset, *y = (const char *)b + row->offset;
    if (is_number(row))
        return *(const uint64_t *)x == *(const uint64_t *)y;
    const char *s = *(char *const *)x, *t = *(char *const *)y;
    return s && t ? strcmp(s, t) == 0 : s == t;
}

static void exchange_texts(char **a, char **b)
{
    char *kept = *a;
    *a = *b;
    *b = kept;
}

void settings_exchange(const struct setting *row, struct settings *a, struct settings *b)
{
    void *x = (char *)a + row->offset, *y = (char *)b + row->offset;
    if (is_number(row)) {
        uint64_t kept = *(uint64_t *)x;
        *(uint64_t *)x = *(uint64_t *)y;
        *(uint64_t *)y = kept;
        return;
    }
    exchange_texts(x, y);
    if (row->kind == SETTING_DB_URL) /* the directory is the other half of its value */
        exchange_texts(&a->data_dir, &b->data_dir);
}
