#include "common/log_scan.h"

/*
 * A window of the file is kept in memory and read anew from wherever something
 * outside it is asked for, so each byte is read about once.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/data_dir.h"
#include "common/exit_status.h"
#include "common/report.h"

#define WINDOW_BYTES (4u << 20)

struct log_scan {
    char *path;
    uint64_t segment;
    uint64_t size;
    int fd;
    const char *fault;
    struct segment_header header;
    uint8_t *window;
    size_t capacity, length;
    uint64_t window_offset;
};

/* --- bytes --- */

static int fill_window(struct log_scan *s, uint64_t offset, size_t least)
{
    size_t want = least > WINDOW_BYTES ? least : WINDOW_BYTES;
    if (want > s->size - offset)
        want = (size_t)(s->size - offset);
    if (want > s->capacity) {
        free(s->window);
        s->window = malloc(want);
        s->capacity = want;
        if (!s->window)
            report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory while reading the log");
    }
    s->window_offset = offset;
    s->length = 0;
    while (s->length < want) {
        ssize_t n = pread(s->fd, s->window + s->length, want - s->length, (off_t)(offset + s->length));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        if (n == 0)
            return EIO; /* shorter than it was when it was opened */
        s->length += (size_t)n;
    }
    return 0;
}

/* Makes `length` bytes at `offset` available; they lie inside the file. */
static int look(struct log_scan *s, uint64_t offset, size_t length, const uint8_t **out)
{
    bool inside = offset >= s->window_offset && offset - s->window_offset + length <= s->length;
    int error = inside ? 0 : fill_window(s, offset, length);
    *out = error ? NULL : s->window + (offset - s->window_offset);
    return error;
}

/* --- opening --- */

static int read_header(struct log_scan *s)
{
    const uint8_t *bytes;
    s->fault = "it has no segment header";
    if (s->size < SEGMENT_HEADER_BYTES)
        return EBADMSG;
    int error = look(s, 0, SEGMENT_HEADER_BYTES, &bytes);
    if (error == 0)
        error = segment_header_decode(bytes, &s->header);
    if (error == EBADMSG)
        s->fault = "its segment header is damaged";
    if (error == 0 && s->header.position != s->segment)
        error = EXDEV;
    return error;
}

static int open_file(struct log_scan *s, uint64_t end)
{
    struct stat st;
    s->fd = open(s->path, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0 || fstat(s->fd, &st) != 0)
        return errno;
    s->size = (uint64_t)st.st_size;
    if (end < s->segment + s->size)
        s->size = end > s->segment ? end - s->segment : 0;
    return 0;
}

int log_scan_open(const char *data_dir, uint64_t segment, uint64_t end, struct log_scan **out)
{
    char name[SEGMENT_NAME_MAX];
    struct log_scan *s = calloc(1, sizeof *s);
    if (!s)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    segment_name(segment, name);
    char *dir = data_dir_path(data_dir, DATA_DIR_LOG);
    s->path = data_dir_path(dir, name);
    free(dir);
    s->segment = segment;
    int error = open_file(s, end);
    if (error == 0)
        error = read_header(s);
    *out = s;
    if (error && error != EBADMSG && error != ENOTSUP && error != EXDEV)
        log_scan_close(out);
    return error;
}

void log_scan_close(struct log_scan **scan)
{
    struct log_scan *s = *scan;
    if (!s)
        return;
    if (s->fd >= 0)
        close(s->fd);
    free(s->window);
    free(s->path);
    free(s);
    *scan = NULL;
}

const char *log_scan_path(const struct log_scan *s)
{
    return s->path;
}

const struct segment_header *log_scan_header(const struct log_scan *s)
{
    return &s->header;
}

uint64_t log_scan_segment(const struct log_scan *s)
{
    return s->segment;
}

uint64_t log_scan_size(const struct log_scan *s)
{
    return s->size;
}

struct log_mark log_scan_begin(const struct log_scan *s)
{
    return (struct log_mark){
        .position = s->segment + SEGMENT_HEADER_BYTES,
        .next_batch = s->header.next_batch,
        .chain = s->header.chain,
        .ledger = s->header.ledger,
    };
}

/* --- batches --- */

static int fault(struct log_scan *s, const char *what)
{
    s->fault = what;
    return EBADMSG;
}

const char *log_scan_fault(const struct log_scan *s)
{
    return s->fault;
}

int log_scan_next(struct log_scan *s, struct log_mark *mark, struct batch_header *header, struct bytes *payload)
{
    uint64_t offset = mark->position - s->segment;
    const uint8_t *at;
    if (offset >= s->size)
        return ENODATA;
    if (s->size - offset < BATCH_HEADER_BYTES)
        return fault(s, "there is no whole batch header");
    int error = look(s, offset, BATCH_HEADER_BYTES, &at);
    if (error)
        return error;
    if (batch_header_decode(at, header) != 0)
        return fault(s, "there is no batch header");
    uint64_t length = batch_disk_length(header->payload_length);
    if (length > s->size - offset)
        return fault(s, "the file ends inside the batch");
    error = look(s, offset, (size_t)length, &at);
    if (error)
        return error;
    if (header->position != mark->position)
        return fault(s, "the batch is another position's");
    if (batch_verify(at, (size_t)length, mark->position, header) != 0)
        return fault(s, "the batch's CRC does not match");
    if (header->number != mark->next_batch)
        return fault(s, "the batch has another number than follows");
    *payload = bytes_of(at + BATCH_HEADER_BYTES, header->payload_length);
    struct sha256 chain = batch_chain(&mark->chain, at, *payload);
    /* The chain value is written last: a torn batch can have a good CRC and no chain value yet. */
    if (memcmp(chain.octets, at + BATCH_HEADER_BYTES + header->payload_length, SHA256_SIZE) != 0)
        return fault(s, "the batch's chain value does not match");
    *mark = (struct log_mark){mark->position + length, header->number + 1, chain, mark->ledger};
    return 0;
}

/* A payload lies in the window between its header and its chain value. */
struct bytes log_scan_whole(const struct batch_header *header, struct bytes payload)
{
    return bytes_of(payload.base - BATCH_HEADER_BYTES, (size_t)batch_disk_length(header->payload_length));
}

int log_scan_find_later(struct log_scan *s, const struct log_mark *mark, bool *found)
{
    struct batch_header header;
    const uint8_t *at;
    *found = false;
    uint64_t o = mark->position - s->segment + BATCH_ALIGNMENT;
    for (; !*found && o + BATCH_HEADER_BYTES <= s->size; o += BATCH_ALIGNMENT) {
        int error = look(s, o, BATCH_HEADER_BYTES, &at);
        if (error)
            return error;
        if (at[0] != 'T' || batch_header_decode(at, &header) != 0 || header.number <= mark->next_batch ||
            batch_disk_length(header.payload_length) > s->size - o)
            continue;
        size_t length = (size_t)batch_disk_length(header.payload_length);
        error = look(s, o, length, &at);
        if (error)
            return error;
        *found = batch_verify(at, length, s->segment + o, &header) == 0;
    }
    return 0;
}

int log_scan_rest_is_zero(struct log_scan *s, uint64_t offset, bool *zero)
{
    const uint8_t *at;
    *zero = true;
    while (*zero && offset < s->size) {
        size_t n = s->size - offset < WINDOW_BYTES ? (size_t)(s->size - offset) : WINDOW_BYTES;
        int error = look(s, offset, n, &at);
        if (error)
            return error;
        *zero = at[0] == 0 && memcmp(at, at + 1, n - 1) == 0;
        offset += n;
    }
    return 0;
}
