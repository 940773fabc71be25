#include "server/event_texts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/exit_status.h"
#include "common/report.h"

struct event_sheet {
    uint64_t first; /* seq of its first event */
    uint32_t holders, count;
    uint32_t ends[EVENT_SHEET_EVENTS]; /* of each event's text */
    uint32_t len, room;
    uint8_t text[];
};

static void *must(void *p)
{
    if (!p)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory in an event stream");
    return p;
}

void event_sheet_release(struct event_sheet **sheet)
{
    if (*sheet && --(*sheet)->holders == 0)
        free(*sheet);
    *sheet = NULL;
}

static void drop_oldest(struct event_texts *t, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        t->bytes -= t->sheets[i]->len;
        event_sheet_release(&t->sheets[i]);
    }
    t->count -= count;
    if (t->count)
        memmove(t->sheets, t->sheets + count, t->count * sizeof(struct event_sheet *));
}

void event_texts_free(struct event_texts *t)
{
    drop_oldest(t, t->count);
    free(t->sheets);
    *t = (struct event_texts){.next = 0};
}

void event_texts_begin(struct event_texts *t, uint64_t seq)
{
    drop_oldest(t, t->count);
    t->next = seq;
}

static struct event_sheet *add_sheet(struct event_texts *t, size_t text_len)
{
    size_t room = text_len > EVENT_SHEET_BYTES ? text_len : EVENT_SHEET_BYTES;
    assert(room <= UINT32_MAX);
    if (t->count == t->room) {
        t->room = t->room ? 2 * t->room : 4;
        t->sheets = must(reallocarray(t->sheets, t->room, sizeof(struct event_sheet *)));
    }
    struct event_sheet *sheet = t->sheets[t->count++] = must(malloc(sizeof *sheet + room));
    sheet->first = t->next;
    sheet->holders = 1;
    sheet->count = sheet->len = 0;
    sheet->room = (uint32_t)room;
    return sheet;
}

static struct event_sheet *sheet_with_room(struct event_texts *t, size_t text_len)
{
    struct event_sheet *newest = t->count ? t->sheets[t->count - 1] : NULL;
    if (newest && newest->count < EVENT_SHEET_EVENTS && text_len <= newest->room - newest->len)
        return newest;
    return add_sheet(t, text_len);
}

void event_texts_take(struct event_texts *t, struct bytes text, size_t bytes_max)
{
    /* Behind what is there: a sheet is written to while others are sent what it had. */
    struct event_sheet *sheet = sheet_with_room(t, text.len);
    memcpy(sheet->text + sheet->len, text.base, text.len);
    sheet->len += (uint32_t)text.len;
    sheet->ends[sheet->count++] = sheet->len;
    t->bytes += text.len;
    t->next++;
    while (t->bytes > bytes_max && t->count > 1)
        drop_oldest(t, 1);
}

bool event_texts_reach(const struct event_texts *t, uint64_t cursor)
{
    return cursor + 1 >= (t->count ? t->sheets[0]->first : t->next);
}

struct event_sheet *event_texts_hold(struct event_texts *t, uint64_t *cursor, struct bytes *text)
{
    assert(event_texts_reach(t, *cursor));
    if (*cursor + 1 >= t->next)
        return NULL;
    size_t i = t->count - 1;
    while (t->sheets[i]->first > *cursor + 1) /* nearly every stream is on the newest */
        i--;
    struct event_sheet *sheet = t->sheets[i];
    size_t skipped = (size_t)(*cursor + 1 - sheet->first);
    uint32_t begin = skipped ? sheet->ends[skipped - 1] : 0;
    *text = bytes_of(sheet->text + begin, sheet->len - begin);
    *cursor = sheet->first + sheet->count - 1;
    sheet->holders++;
    return sheet;
}
