#include "server/event_texts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/exit_status.h"
#include "common/report.h"

void event_texts_free(struct event_texts *t)
{
    buffer_free(&t->text);
    free(t->ends);
    *t = (struct event_texts){.first = 0};
}

void event_texts_begin(struct event_texts *t, uint64_t seq)
{
    buffer_clear(&t->text);
    t->count = 0;
    t->first = seq;
}

uint64_t event_texts_next(const struct event_texts *t)
{
    return t->first + t->count;
}

/* The oldest ones, until half of what is allowed is left: to move the text for each new event would cost more. */
static void drop_oldest(struct event_texts *t, size_t bytes_left)
{
    size_t dropped = 1;
    while (dropped + 1 < t->count && t->text.len - t->ends[dropped - 1] > bytes_left)
        dropped++;
    uint32_t bytes = t->ends[dropped - 1];
    memmove(t->text.base, t->text.base + bytes, t->text.len - bytes);
    t->text.len -= bytes;
    t->count -= dropped;
    t->first += dropped;
    for (size_t i = 0; i < t->count; i++)
        t->ends[i] = t->ends[i + dropped] - bytes;
}

void event_texts_take(struct event_texts *t, size_t bytes_max)
{
    if (t->count == t->room) {
        t->room = t->room ? 2 * t->room : 64;
        t->ends = reallocarray(t->ends, t->room, sizeof *t->ends);
        if (!t->ends)
            report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory in an event stream");
    }
    assert(t->text.len <= UINT32_MAX);
    t->ends[t->count++] = (uint32_t)t->text.len;
    if (t->text.len > bytes_max && t->count > 1)
        drop_oldest(t, bytes_max / 2);
}

bool event_texts_reach(const struct event_texts *t, uint64_t cursor)
{
    return cursor + 1 >= t->first;
}

struct bytes event_texts_behind(const struct event_texts *t, uint64_t *cursor, size_t bytes_max)
{
    assert(event_texts_reach(t, *cursor));
    if (*cursor + 1 >= event_texts_next(t))
        return (struct bytes){NULL, 0};
    size_t from = (size_t)(*cursor + 1 - t->first), to = from;
    uint32_t begin = from ? t->ends[from - 1] : 0;
    while (to < t->count && (to == from || t->ends[to - 1] - begin < bytes_max))
        to++;
    *cursor += to - from;
    return bytes_of(t->text.base + begin, t->ends[to - 1] - begin);
}
