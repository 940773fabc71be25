#ifndef TALEA_COMMON_LOG_READER_H
#define TALEA_COMMON_LOG_READER_H
/*
 * Reading the log without writing it: the list of segments, and single events
 * by position. Any process may use it beside the arbiter: batches that the
 * index names never change any more.
 */
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"

/* Positions of all segment files in <data_dir>/log, ascending. */
struct segment_list {
    uint64_t *positions;
    size_t count;
};

/* 0 or errno. A directory that is not there is an empty list. */
int segment_list_read(const char *data_dir, struct segment_list *out) __attribute__((warn_unused_result));
void segment_list_free(struct segment_list *list);

/* Where an event's bytes lie; from the index (index_schema.h). */
struct event_place {
    uint64_t position; /* of its first byte */
    uint32_t length;
    uint32_t crc; /* CRC-32C of those bytes */
};

struct log_reader;

/* Opens nothing yet; keeps the segments it reads open, a bounded number. */
struct log_reader *log_reader_create(const char *data_dir);
void log_reader_destroy(struct log_reader **reader);

/*
 * Appends the event's bytes to `out`. 0; EBADMSG when they fail their CRC,
 * ENODATA when no segment holds them (both reported once, with the place);
 * or errno, never ENOENT.
 */
int log_reader_event(struct log_reader *reader, const struct event_place *place, struct buffer *out)
    __attribute__((warn_unused_result));

#endif
