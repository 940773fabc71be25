#include "server/log_tour.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/data_dir.h"
#include "common/index_reader.h"
#include "common/index_state.h"
#include "common/log_reader.h"

int fault_set(struct fault *fault, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(fault->text, sizeof fault->text, format, args);
    va_end(args);
    return EUCLEAN;
}

static int damaged(struct log_tour *t, const struct log_scan *s, const char *what)
{
    return fault_set(t->fault, "damaged: %s at offset %" PRIu64 ": %s; restore this file from a backup",
                     log_scan_path(s), t->mark.position - log_scan_segment(s), what);
}

static int missing(struct log_tour *t, uint64_t position)
{
    char name[SEGMENT_NAME_MAX];
    segment_name(position, name);
    return fault_set(t->fault, "missing: %s/" DATA_DIR_LOG "/%s; restore it from a backup", t->data_dir, name);
}

static int open_segment(struct log_tour *t, uint64_t segment, uint64_t end, struct log_scan **s)
{
    int error = log_scan_open(t->data_dir, segment, end, s);
    switch (error) {
    case 0:
        return 0;
    case EBADMSG:
        error = fault_set(t->fault, "damaged: %s at offset 0: %s; restore this file from a backup", log_scan_path(*s),
                          log_scan_fault(*s));
        break;
    case ENOTSUP:
        error = fault_set(t->fault, "%s has format version %u, this talead knows %u: use a newer talead",
                          log_scan_path(*s), log_scan_header(*s)->version, LOG_FORMAT_VERSION);
        break;
    case EXDEV:
        error = fault_set(t->fault,
                          "%s says it begins at position %" PRIu64 ": the file was renamed or swapped; put every "
                          "segment back under its own name",
                          log_scan_path(*s), log_scan_header(*s)->position);
        break;
    default:
        return fault_set(t->fault, "cannot read the segment at position %" PRIu64 " in %s/" DATA_DIR_LOG ": %s",
                         segment, t->data_dir, strerror(error));
    }
    log_scan_close(s);
    return error;
}

/* Does the header continue what was read so far? At the genesis: is it one? */
static int enter_segment(struct log_tour *t, const struct log_scan *s)
{
    const struct segment_header *header = log_scan_header(s);
    if (t->mark.position == 0)
        t->mark = (struct log_mark){.next_batch = 1, .chain = chain_genesis(header->ledger), .ledger = header->ledger};
    if (memcmp(&header->ledger, &t->mark.ledger, sizeof header->ledger) != 0)
        return fault_set(t->fault, "foreign: %s is another ledger's; restore the whole directory from one backup",
                         log_scan_path(s));
    if (header->next_batch != t->mark.next_batch ||
        memcmp(&header->chain, &t->mark.chain, sizeof header->chain) != 0)
        return fault_set(t->fault,
                         "foreign: %s does not continue the segment before it: files of two times are mixed; restore "
                         "the whole directory from one backup",
                         log_scan_path(s));
    t->mark.position += SEGMENT_HEADER_BYTES;
    return 0;
}

/* Good batches, up to the end, a seal of the segment, or one that is not good (*why; else NULL). */
static int walk(struct log_tour *t, struct log_scan *s, uint64_t end, bool *sealed, const char **why)
{
    *sealed = false;
    *why = NULL;
    while (!*sealed && t->mark.position < end) {
        struct batch_header header;
        struct bytes payload;
        struct log_mark after = t->mark;
        int error = log_scan_next(s, &after, &header, &payload);
        if (error == ENODATA || error == EBADMSG) {
            *why = error == ENODATA ? "the file ends" : log_scan_fault(s);
            return 0;
        }
        if (error)
            return damaged(t, s, strerror(error));
        error = t->visit(t->context, &(struct tour_batch){
                                         .path = log_scan_path(s),
                                         .segment = log_scan_header(s),
                                         .header = &header,
                                         .payload = payload,
                                         .whole = log_scan_whole(&header, payload),
                                         .before = &t->mark,
                                         .after = &after,
                                     });
        if (error)
            return error;
        t->mark = after;
        t->batches++;
        *sealed = header.flags == BATCH_SEAL_SEGMENT;
    }
    return 0;
}

/* The last segment stops being good at the mark, and nothing says that there must be more. */
static int judge_tail(struct log_tour *t, struct log_scan *s, const char *why)
{
    uint64_t offset = t->mark.position - log_scan_segment(s);
    bool later, zero;
    int error = log_scan_find_later(s, &t->mark, &later);
    if (error == 0)
        error = log_scan_rest_is_zero(s, offset, &zero);
    if (error)
        return damaged(t, s, strerror(error));
    if (later)
        return damaged(t, s, why);
    t->torn_bytes = zero ? 0 : log_scan_size(s) - offset;
    return 0;
}

static int visit_segment(struct log_tour *t, const struct segment_list *list, size_t i, uint64_t end, bool *sealed)
{
    bool last = i + 1 == list->count || list->positions[i + 1] >= end;
    const char *why;
    struct log_scan *s;
    int error = open_segment(t, list->positions[i], end, &s);
    if (error)
        return error;
    if (t->mark.position == log_scan_segment(s))
        error = enter_segment(t, s);
    if (t->segment != log_scan_segment(s) || t->segments == 0)
        t->segments++;
    t->segment = log_scan_segment(s);
    if (error == 0)
        error = walk(t, s, end, sealed, &why);
    if (error == 0 && why && last && end == UINT64_MAX)
        error = judge_tail(t, s, why);
    else if (error == 0 && why)
        error = damaged(t, s, why);
    if (error == 0 && *sealed && !last && t->mark.position != list->positions[i + 1])
        error = missing(t, t->mark.position);
    log_scan_close(&s);
    return error;
}

static int visit_segments(struct log_tour *t, const struct segment_list *list, uint64_t end)
{
    size_t i = 0;
    bool sealed = false;
    int error = 0;
    if (list->count == 0)
        return fault_set(t->fault, "there is no ledger in %s: no segments in %s/" DATA_DIR_LOG, t->data_dir,
                         t->data_dir);
    if (list->positions[0] != 0)
        return missing(t, 0);
    while (i + 1 < list->count && list->positions[i + 1] <= t->mark.position)
        i++;
    for (; error == 0 && i < list->count && t->mark.position < end; i++)
        error = visit_segment(t, list, i, end, &sealed);
    if (error == 0 && end != UINT64_MAX && t->mark.position < end)
        error = missing(t, t->mark.position);
    return error;
}

int log_tour_go(struct log_tour *t, uint64_t end)
{
    struct segment_list list;
    int error = segment_list_read(t->data_dir, &list);
    if (error)
        return fault_set(t->fault, "cannot list %s/" DATA_DIR_LOG ": %s", t->data_dir, strerror(error));
    error = visit_segments(t, &list, end);
    segment_list_free(&list);
    return error;
}

static int read_durable_end(const char *data_dir, uint64_t *end)
{
    struct index_reader *index;
    struct index_meta meta;
    int error = index_reader_open(data_dir, &index);
    if (error)
        return error;
    error = index_reader_begin(index, 0);
    if (error == 0) {
        error = index_reader_meta(index, &meta);
        index_reader_end(index);
        *end = error == 0 ? meta.position : SEGMENT_HEADER_BYTES;
    }
    index_reader_close(&index);
    return error == ENOENT ? 0 : error; /* nothing was committed yet */
}

int log_tour_ledger(const char *data_dir, struct uuid *out, struct fault *fault)
{
    struct log_scan *first;
    int error = log_scan_open(data_dir, 0, UINT64_MAX, &first);
    if (error == 0)
        *out = log_scan_header(first)->ledger;
    log_scan_close(&first);
    if (error == ENOENT)
        return fault_set(fault, "there is no ledger in %s: no segments in %s/" DATA_DIR_LOG, data_dir, data_dir);
    return error ? fault_set(fault, "the first segment in %s/" DATA_DIR_LOG " cannot be read; talead verify tells more",
                             data_dir)
                 : 0;
}

uint64_t log_tour_file_end(const char *data_dir)
{
    struct segment_list list;
    struct log_scan *last = NULL;
    uint64_t end = 0;
    if (segment_list_read(data_dir, &list) == 0 && list.count > 0 &&
        log_scan_open(data_dir, list.positions[list.count - 1], UINT64_MAX, &last) == 0)
        end = log_scan_segment(last) + log_scan_size(last);
    log_scan_close(&last);
    segment_list_free(&list);
    return end;
}

/* Beside a server that is still recovering there may be an index that must not be opened. */
static int check_index(const char *data_dir, struct fault *fault)
{
    struct uuid ledger;
    uint64_t sealed_at;
    const char *why;
    int error = log_tour_ledger(data_dir, &ledger, fault);
    if (error)
        return error;
    char *path = data_dir_path(data_dir, DATA_DIR_INDEX);
    bool usable = index_state_usable(path, ledger, &sealed_at, &why);
    free(path);
    return usable ? 0
                  : fault_set(fault, "%s is locked by a process that has not recovered yet: try again when it is ready",
                              data_dir);
}

int log_tour_find_end(const char *data_dir, uint64_t *end, struct fault *fault)
{
    *end = UINT64_MAX;
    if (!data_dir_is_locked(data_dir))
        return 0;
    int error = check_index(data_dir, fault);
    if (error)
        return error;
    error = read_durable_end(data_dir, end);
    if (error)
        return fault_set(fault, "%s is served, and its index cannot be read: %s", data_dir, strerror(error));
    return 0;
}
