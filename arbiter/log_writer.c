#include "arbiter/log_writer.h"

/*
 * Order of the steps when a segment is full: the seal is written and synced;
 * the file is cut to its length and synced; the next file is made under a
 * temporary name with its header and its first zeros, synced, renamed, and the
 * directory is synced. Only then is a batch put into it. So a segment that has
 * a successor is whole, and a segment under its name has a header.
 *
 * The temporary file is made before the seal is written: when there is no
 * space for it, the full segment goes on to be the last one.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arbiter/disk_writer.h"
#include "common/buffer.h"
#include "common/data_dir.h"
#include "common/durable_file.h"
#include "common/exit_status.h"
#include "common/log_format.h"
#include "common/report.h"
#include "common/rfc3339.h"

#define FILL_STEP_BYTES (4u << 20)
#define FILL_LOW_BYTES (1u << 20)

struct log_writer {
    struct log_head head; /* behind the last durable batch */
    struct log_head next; /* behind the batch under way; while `busy` */
    bool busy;
    struct disk_writer *disk;
    struct buffer batch; /* the bytes of the last one */
    char *log_dir;
    int fd;
    uint64_t segment_max;
    uint64_t filled; /* position up to which the segment's file is written (zeros behind the head) and synced */
};

/* What went wrong after bytes of the log were handed over is final: never "the disk is full, try again". */
static int final(int error)
{
    return error == ENOSPC || error == EDQUOT ? EIO : error;
}

static int fill_with_zeros(int fd, uint64_t from, uint64_t to)
{
    static const uint8_t zeros[256 << 10];
    while (from < to) {
        size_t n = to - from < sizeof zeros ? (size_t)(to - from) : sizeof zeros;
        int error = write_fully(fd, zeros, n, (off_t)from);
        if (error)
            return error;
        from += n;
    }
    return fdatasync(fd) ? final(errno) : 0;
}

/* Makes the next segment's file under its temporary name: header, zeros, synced. */
static int make_next_file(const char *log_dir, const struct segment_header *header, uint64_t length, int *out)
{
    uint8_t encoded[SEGMENT_HEADER_BYTES];
    segment_header_encode(header, encoded);
    char *path = data_dir_path(log_dir, DATA_DIR_NEXT_SEGMENT);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int error = fd < 0 ? errno : 0;
    if (error == 0)
        error = write_fully(fd, encoded, sizeof encoded, 0);
    if (error == 0)
        error = fill_with_zeros(fd, sizeof encoded, length);
    if (error == 0 && fsync(fd) != 0)
        error = final(errno);
    if (error && fd >= 0) {
        close(fd);
        unlink(path);
    }
    free(path);
    *out = fd;
    return error;
}

static int publish_next_file(const char *log_dir, uint64_t position)
{
    char name[SEGMENT_NAME_MAX];
    segment_name(position, name);
    char *from = data_dir_path(log_dir, DATA_DIR_NEXT_SEGMENT);
    char *to = data_dir_path(log_dir, name);
    int error = durable_rename(from, to);
    free(from);
    free(to);
    return error;
}

static uint64_t first_fill(uint64_t segment_max)
{
    uint64_t want = segment_max < FILL_STEP_BYTES ? segment_max : FILL_STEP_BYTES;
    uint64_t least = SEGMENT_HEADER_BYTES + 2 * batch_disk_length(0);
    return want < least ? least : want;
}

int log_create(const char *data_dir, struct log_head *out)
{
    struct log_head head = {.ledger = {{0}}, .segment = 0, .position = SEGMENT_HEADER_BYTES, .next_batch = 1};
    random_fill(head.ledger.octets, sizeof head.ledger.octets);
    head.ledger.octets[6] = (head.ledger.octets[6] & 0x0f) | 0x40; /* a random UUID, version 4 */
    head.ledger.octets[8] = (head.ledger.octets[8] & 0x3f) | 0x80;
    head.chain = chain_genesis(head.ledger);
    struct segment_header header = {
        .version = LOG_FORMAT_VERSION,
        .ledger = head.ledger,
        .position = 0,
        .next_batch = 1,
        .chain = head.chain,
        .created_at_us = clock_now_us(),
    };
    char *log_dir = data_dir_path(data_dir, DATA_DIR_LOG);
    int fd;
    int error = make_next_file(log_dir, &header, SEGMENT_HEADER_BYTES + 2 * batch_disk_length(0), &fd);
    if (error == 0) {
        close(fd);
        error = publish_next_file(log_dir, 0);
    }
    free(log_dir);
    *out = head;
    return error;
}

/* Recovery has proved the batch, but no CRC and no chain value covers its padding. */
static int clear_padding(uint8_t *batch, size_t length)
{
    struct batch_header header;
    if (batch_header_decode(batch, &header) != 0 || batch_disk_length(header.payload_length) != length)
        return EIO; /* it is no longer what was read */
    size_t told = BATCH_HEADER_BYTES + (size_t)header.payload_length + SHA256_SIZE;
    memset(batch + told, 0, length - told);
    return 0;
}

/* The last batch, which lies between these offsets; when they are equal, there is none. */
static int write_again(int fd, uint64_t from, uint64_t to)
{
    size_t length = (size_t)(to - from);
    uint8_t *bytes = malloc(length ? length : 1);
    if (!bytes)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    ssize_t n = pread(fd, bytes, length, (off_t)from);
    int error = n < 0 ? errno : (size_t)n != length ? EIO : 0;
    if (error == 0 && length > 0)
        error = clear_padding(bytes, length);
    if (error == 0)
        error = write_fully(fd, bytes, length, (off_t)from);
    free(bytes);
    return error;
}

static int open_segment(struct log_writer *w, uint64_t last_batch)
{
    char name[SEGMENT_NAME_MAX];
    struct stat st;
    segment_name(w->head.segment, name);
    char *path = data_dir_path(w->log_dir, name);
    w->fd = open(path, O_RDWR | O_CLOEXEC);
    int error = w->fd < 0 || fstat(w->fd, &st) != 0 ? errno : 0;
    free(path);
    if (error)
        return error;
    uint64_t used = w->head.position - w->head.segment;
    uint64_t size = (uint64_t)st.st_size;
    w->filled = w->head.segment + (size > used ? size : used);
    error = write_again(w->fd, last_batch - w->head.segment, used);
    return error ? error : fill_with_zeros(w->fd, used, size); /* and syncs */
}

static int begin_next_segment(struct log_writer *w, int sealed);

int log_writer_open(const char *data_dir, const struct log_head *head, uint64_t last_batch, int segment_sealed,
                    uint64_t segment_max_bytes, struct log_writer **out)
{
    struct log_writer *w = calloc(1, sizeof *w);
    if (!w)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    w->head = *head;
    w->segment_max = segment_max_bytes;
    w->log_dir = data_dir_path(data_dir, DATA_DIR_LOG);
    w->disk = disk_writer_create();
    int error = open_segment(w, last_batch);
    if (error == 0 && segment_sealed)
        error = begin_next_segment(w, segment_sealed);
    if (error)
        log_writer_close(&w);
    *out = w;
    return error;
}

void log_writer_close(struct log_writer **writer)
{
    struct log_writer *w = *writer;
    if (!w)
        return;
    disk_writer_destroy(&w->disk);
    if (w->fd >= 0)
        close(w->fd);
    buffer_free(&w->batch);
    free(w->log_dir);
    free(w);
    *writer = NULL;
}

const struct log_head *log_writer_head(const struct log_writer *w)
{
    return &w->head;
}

const struct log_head *log_writer_next(const struct log_writer *w)
{
    return w->busy ? &w->next : &w->head;
}

static uint64_t used_bytes(const struct log_writer *w)
{
    return w->head.position - w->head.segment;
}

/* Header, payload, chain value and padding of one batch at the head; w->next is the end of the log behind it. */
static void compose(struct log_writer *w, struct bytes payload, uint32_t event_count, enum batch_flags flags,
                    int64_t at_us)
{
    struct batch_header header = {
        .payload_length = (uint32_t)payload.len,
        .event_count = event_count,
        .flags = flags,
        .position = w->head.position,
        .number = w->head.next_batch,
        .at_us = at_us,
    };
    uint64_t length = batch_disk_length(header.payload_length);
    assert(!w->busy && payload.len <= BATCH_PAYLOAD_MAX);
    assert(w->head.position + length <= w->filled);
    buffer_clear(&w->batch);
    uint8_t *bytes = buffer_reserve(&w->batch, length);
    memset(bytes + length - BATCH_ALIGNMENT, 0, BATCH_ALIGNMENT);
    batch_header_encode(&header, payload.base, bytes);
    if (payload.len)
        memcpy(bytes + BATCH_HEADER_BYTES, payload.base, payload.len);
    w->next = w->head;
    w->next.chain = batch_chain(&w->head.chain, bytes, payload);
    memcpy(bytes + BATCH_HEADER_BYTES + payload.len, w->next.chain.octets, SHA256_SIZE);
    w->batch.len = length;
    w->next.position += length;
    w->next.next_batch++;
    w->busy = true;
}

void log_writer_begin(struct log_writer *w, struct bytes payload, uint32_t event_count, int64_t at_us,
                      bool goes_on_meanwhile)
{
    compose(w, payload, event_count, BATCH_EVENTS, at_us);
    if (goes_on_meanwhile)
        disk_writer_begin(w->disk, w->fd, buffer_bytes(&w->batch), used_bytes(w));
    else
        disk_writer_do(w->disk, w->fd, buffer_bytes(&w->batch), used_bytes(w));
}

int log_writer_end(struct log_writer *w, uint64_t *sync_ns)
{
    assert(w->busy);
    int error = disk_writer_end(w->disk, sync_ns);
    if (error)
        return error;
    w->head = w->next;
    w->busy = false;
    return 0;
}

static int append_seal(struct log_writer *w, enum batch_flags flags, int64_t at_us)
{
    uint64_t sync_ns;
    compose(w, bytes_of(NULL, 0), 0, flags, at_us);
    disk_writer_do(w->disk, w->fd, buffer_bytes(&w->batch), used_bytes(w));
    return log_writer_end(w, &sync_ns);
}

static int cut_to_length(struct log_writer *w)
{
    if (ftruncate(w->fd, (off_t)used_bytes(w)) != 0)
        return errno;
    return fsync(w->fd) ? errno : 0;
}

/* Zeros up to `position` at least, if they do not reach there yet. */
static int fill_to(struct log_writer *w, uint64_t position)
{
    if (position <= w->filled)
        return 0;
    uint64_t to = w->filled + FILL_STEP_BYTES;
    uint64_t segment_end = w->head.segment + w->segment_max;
    if (to > segment_end)
        to = segment_end; /* a small segment is not filled beyond its end */
    if (to < position)
        to = position;
    int error = fill_with_zeros(w->fd, w->filled - w->head.segment, to - w->head.segment);
    if (error == 0)
        w->filled = to;
    return error;
}

/* `sealed`: the last batch is the segment's seal already. */
static int begin_next_segment(struct log_writer *w, int sealed)
{
    uint64_t next = w->head.position + (sealed ? 0 : batch_disk_length(0));
    struct segment_header header = {
        .version = LOG_FORMAT_VERSION,
        .ledger = w->head.ledger,
        .position = next,
        .next_batch = w->head.next_batch + (sealed ? 0 : 1),
        .created_at_us = clock_now_us(),
    };
    int fd;
    uint64_t length = first_fill(w->segment_max);
    int error = sealed ? 0 : fill_to(w, next); /* a seal of a clean stop may have taken the room */
    if (error == 0)
        error = make_next_file(w->log_dir, &header, length, &fd);
    if (error)
        return error;
    if (!sealed)
        error = append_seal(w, BATCH_SEAL_SEGMENT, header.created_at_us);
    if (error == 0)
        error = cut_to_length(w);
    /* The header names the chain value, which is known only now that the seal is written. */
    header.chain = w->head.chain;
    uint8_t encoded[SEGMENT_HEADER_BYTES];
    segment_header_encode(&header, encoded);
    if (error == 0)
        error = write_fully(fd, encoded, sizeof encoded, 0);
    if (error == 0 && fsync(fd) != 0)
        error = errno;
    if (error == 0)
        error = publish_next_file(w->log_dir, next);
    if (error) {
        close(fd);
        return final(error);
    }
    close(w->fd);
    w->fd = fd;
    w->head.segment = next;
    w->head.position = next + SEGMENT_HEADER_BYTES;
    w->filled = next + length;
    return 0;
}

/* The room for one more batch of this size, and for the seal that may have to follow it. */
static uint64_t room_needed(uint64_t payload_bytes)
{
    return batch_disk_length((uint32_t)payload_bytes) + batch_disk_length(0);
}

int log_writer_reserve(struct log_writer *w, uint64_t payload_bytes)
{
    assert(payload_bytes <= BATCH_PAYLOAD_MAX);
    const struct log_head *head = log_writer_next(w);
    bool is_full = head->position - head->segment >= w->segment_max;
    uint64_t end = head->position + room_needed(payload_bytes);
    if (w->busy)
        return is_full || end > w->filled ? EBUSY : 0;
    if (is_full) {
        int error = begin_next_segment(w, 0);
        if (error)
            return error;
    }
    return fill_to(w, w->head.position + room_needed(payload_bytes));
}

int log_writer_wants_room(const struct log_writer *w)
{
    uint64_t segment_end = w->head.segment + w->segment_max;
    return w->filled - w->head.position < FILL_LOW_BYTES && w->filled < segment_end;
}

int log_writer_seal(struct log_writer *w, int64_t at_us)
{
    int error = fill_to(w, w->head.position + batch_disk_length(0));
    return error ? error : append_seal(w, BATCH_SEAL_STOP, at_us);
}
