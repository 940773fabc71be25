#include "common/log_reader.h"

/*
 * Segments are opened read-only and kept, the least recently used closed
 * first. An event is read with one pread and checked against the CRC that the
 * index keeps of it, so rotten bytes are never shown to anybody.
 */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/data_dir.h"
#include "common/exit_status.h"
#include "common/log_format.h"
#include "common/report.h"

#define OPEN_SEGMENTS_MAX 32

static int compare_positions(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void segment_list_add(struct segment_list *list, uint64_t position)
{
    if ((list->count & (list->count - 1)) == 0) { /* full at every power of two */
        size_t room = list->count ? list->count * 2 : 1;
        list->positions = realloc(list->positions, room * sizeof *list->positions);
        if (!list->positions)
            report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory while listing segments");
    }
    list->positions[list->count++] = position;
}

int segment_list_read(const char *data_dir, struct segment_list *out)
{
    *out = (struct segment_list){0};
    char *path = data_dir_path(data_dir, DATA_DIR_LOG);
    DIR *dir = opendir(path);
    free(path);
    if (!dir)
        return errno == ENOENT ? 0 : errno;
    struct dirent *entry;
    while (errno = 0, (entry = readdir(dir))) {
        uint64_t position;
        if (segment_name_parse(entry->d_name, &position) == 0)
            segment_list_add(out, position);
    }
    int error = errno;
    closedir(dir);
    if (error) {
        segment_list_free(out);
        return error;
    }
    if (out->count)
        qsort(out->positions, out->count, sizeof *out->positions, compare_positions);
    return 0;
}

void segment_list_free(struct segment_list *list)
{
    free(list->positions);
    *list = (struct segment_list){0};
}

struct open_segment {
    uint64_t position;
    uint64_t used; /* clock of the last use */
    int fd;        /* -1: free */
};

struct log_reader {
    char *data_dir;
    struct segment_list list;
    uint64_t clock;
    struct open_segment open[OPEN_SEGMENTS_MAX];
    bool damage_reported;
};

struct log_reader *log_reader_create(const char *data_dir)
{
    struct log_reader *r = calloc(1, sizeof *r);
    if (!r || !(r->data_dir = strdup(data_dir)))
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    for (int i = 0; i < OPEN_SEGMENTS_MAX; i++)
        r->open[i].fd = -1;
    return r;
}

void log_reader_destroy(struct log_reader **reader)
{
    struct log_reader *r = *reader;
    if (!r)
        return;
    for (int i = 0; i < OPEN_SEGMENTS_MAX; i++)
        if (r->open[i].fd >= 0)
            close(r->open[i].fd);
    segment_list_free(&r->list);
    free(r->data_dir);
    free(r);
    *reader = NULL;
}

/* Index of the last segment that begins at or before `position`, or -1. */
static long find_in_list(const struct segment_list *list, uint64_t position)
{
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (list->positions[middle] <= position)
            low = middle + 1;
        else
            high = middle;
    }
    return (long)low - 1;
}

static struct open_segment *slot_for(struct log_reader *r, uint64_t segment)
{
    struct open_segment *oldest = &r->open[0];
    for (int i = 0; i < OPEN_SEGMENTS_MAX; i++) {
        struct open_segment *s = &r->open[i];
        if (s->fd >= 0 && s->position == segment)
            return s;
        if (s->fd < 0 ? oldest->fd >= 0 : (oldest->fd >= 0 && s->used < oldest->used))
            oldest = s;
    }
    if (oldest->fd >= 0)
        close(oldest->fd);
    oldest->fd = -1;
    oldest->position = segment;
    return oldest;
}

static int open_slot(struct log_reader *r, struct open_segment *s)
{
    if (s->fd >= 0)
        return 0;
    char name[SEGMENT_NAME_MAX];
    segment_name(s->position, name);
    char *dir = data_dir_path(r->data_dir, DATA_DIR_LOG);
    char *path = data_dir_path(dir, name);
    s->fd = open(path, O_RDONLY | O_CLOEXEC);
    int error = s->fd < 0 ? errno : 0;
    free(path);
    free(dir);
    return error;
}

static int list_again(struct log_reader *r)
{
    struct segment_list fresh;
    int error = segment_list_read(r->data_dir, &fresh);
    if (error)
        return error;
    segment_list_free(&r->list);
    r->list = fresh;
    return 0;
}

/* Opens the segment at `i` of the list; *holds says whether `position` lies inside its file. */
static int try_segment(struct log_reader *r, long i, uint64_t position, struct open_segment **out, bool *holds)
{
    struct stat st;
    *out = slot_for(r, r->list.positions[i]);
    (*out)->used = ++r->clock;
    int error = open_slot(r, *out);
    if (error)
        return error;
    if (fstat((*out)->fd, &st) != 0)
        return errno;
    *holds = position - (*out)->position < (uint64_t)st.st_size;
    return 0;
}

/*
 * The open segment that holds `position`. A segment is cut to its length when
 * it is sealed, before the next one begins, so a position inside the file of
 * the last one known is in it; beyond, a newer segment has come: list again.
 */
static int segment_for(struct log_reader *r, uint64_t position, struct open_segment **out)
{
    bool holds = false;
    for (int round = 0; round < 2; round++) {
        long i = find_in_list(&r->list, position);
        int error = i < 0 ? 0 : try_segment(r, i, position, out, &holds);
        if (error || holds)
            return error;
        if (round == 0 && (error = list_again(r)) != 0)
            return error;
    }
    return ENOENT;
}

static int read_fully(int fd, uint8_t *into, size_t length, off_t offset)
{
    while (length > 0) {
        ssize_t n = pread(fd, into, length, offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        if (n == 0)
            return EBADMSG; /* the file is shorter than the index says */
        into += n;
        length -= (size_t)n;
        offset += n;
    }
    return 0;
}

static void report_damage(struct log_reader *r, const struct open_segment *s, const struct event_place *place)
{
    if (r->damage_reported)
        return;
    r->damage_reported = true;
    char name[SEGMENT_NAME_MAX];
    segment_name(s->position, name);
    report(REPORT_ERROR,
           "damaged event in %s at offset %" PRIu64 ": its CRC does not match; not served. "
           "Restore this file from a backup",
           name, place->position - s->position);
}

/* The index knows of the event, so this is damage, not a thing that never was. */
static int report_missing(struct log_reader *r, const struct event_place *place)
{
    if (!r->damage_reported)
        report(REPORT_ERROR,
               "the segment that holds log position %" PRIu64 " is missing in %s/" DATA_DIR_LOG "; its events are not "
               "served. Restore this file from a backup",
               place->position, r->data_dir);
    r->damage_reported = true;
    return ENODATA;
}

int log_reader_event(struct log_reader *r, const struct event_place *place, struct buffer *out)
{
    struct open_segment *s;
    int error = segment_for(r, place->position, &s);
    if (error)
        return error == ENOENT ? report_missing(r, place) : error;
    assert(place->position >= s->position);
    if (place->length > BATCH_PAYLOAD_MAX)
        return EBADMSG;
    uint8_t *into = buffer_reserve(out, place->length);
    error = read_fully(s->fd, into, place->length, (off_t)(place->position - s->position));
    if (error == 0 && crc32c(0, into, place->length) != place->crc)
        error = EBADMSG;
    if (error == EBADMSG)
        report_damage(r, s, place);
    if (error == 0)
        out->len += place->length;
    return error;
}
