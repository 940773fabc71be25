#ifndef TALEA_SERVER_EVENT_TEXTS_H
#define TALEA_SERVER_EVENT_TEXTS_H
/*
 * The newest events of a book as they are sent to its readers: read and worded
 * once, whatever the number of streams, and sent from here without a copy for
 * each. Consecutive seqs on sheets, of which the oldest make room; a sheet that
 * is being sent from stays until its last holder has released it. For one
 * worker, no system call.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/bytes.h"

#define EVENT_SHEET_BYTES 65536 /* or one event that is longer */
#define EVENT_SHEET_EVENTS 256

struct event_sheet;

/* Zero-initialised it is empty; release with event_texts_free. */
struct event_texts {
    struct event_sheet **sheets; /* the oldest first */
    size_t count, room;
    size_t bytes;  /* of text on all of them */
    uint64_t next; /* the seq that comes next */
};

void event_texts_free(struct event_texts *texts);

/* Forgets all; the next one is `seq`. */
void event_texts_begin(struct event_texts *texts, uint64_t seq);

/* Takes the text of the next event, a copy. Afterwards there are at most `bytes_max` of text, or one sheet. */
void event_texts_take(struct event_texts *texts, struct bytes text, size_t bytes_max);

/* Is the event behind `cursor` here, or the next one to come? If not, it is too old. */
bool event_texts_reach(const struct event_texts *texts, uint64_t cursor);

/*
 * The text of the events behind `cursor`, which is reached, up to the end of
 * their sheet; *cursor is moved over them. The caller holds the sheet, and so
 * the text, until it calls event_sheet_release. NULL: nothing is behind it.
 */
struct event_sheet *event_texts_hold(struct event_texts *texts, uint64_t *cursor, struct bytes *text);
/* *sheet may be NULL, and is afterwards. */
void event_sheet_release(struct event_sheet **sheet);

#endif
