#ifndef TALEA_SERVER_EVENT_TEXTS_H
#define TALEA_SERVER_EVENT_TEXTS_H
/*
 * The newest events of a book as they are sent to its readers: read and worded
 * once, whatever the number of streams. Consecutive seqs, bounded in bytes; the
 * oldest make room. For one worker, no system call.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"

/* Zero-initialised it is empty; release with event_texts_free. */
struct event_texts {
    struct buffer text;
    uint64_t first;  /* seq of the oldest one; the newest is first + count - 1 */
    uint32_t *ends;  /* of each, in text */
    size_t count, room;
};

void event_texts_free(struct event_texts *texts);

/* Forgets all; the next one is `seq`. */
void event_texts_begin(struct event_texts *texts, uint64_t seq);

/* The seq that comes next. */
uint64_t event_texts_next(const struct event_texts *texts);

/*
 * Its text was appended to texts->text by the caller; now it counts. Afterwards
 * there are at most `bytes_max` of text, or this one alone.
 */
void event_texts_take(struct event_texts *texts, size_t bytes_max);

/* Is the event behind `cursor` here, or the next one to come? If not, it is too old. */
bool event_texts_reach(const struct event_texts *texts, uint64_t cursor);

/*
 * The text of the events behind `cursor`, which is reached, up to the one that
 * passes `bytes_max`; *cursor is moved over them. Valid until the next change.
 */
struct bytes event_texts_behind(const struct event_texts *texts, uint64_t *cursor, size_t bytes_max);

#endif
