#include "arbiter/log_recovery.h"

/*
 * Segments before `from` are not walked from their first byte when that would
 * take long: their headers are always checked against each other, their
 * batches for the newest CHECK_BEHIND_BYTES (talead verify walks all).
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/border.h"
#include "common/data_dir.h"
#include "common/log_reader.h"
#include "common/progress.h"
#include "common/report.h"

#define CHECK_BEHIND_BYTES (64u << 20)

struct recovery {
    const char *data_dir;
    const struct log_recovery_plan *plan;
    uint64_t witness; /* the highest position that is known to have been durable */
    struct segment_list list;
    uint64_t end; /* of the last segment's file, as position */
    uint64_t begun_at; /* of the replay */
    uint64_t last_batch; /* position of the last good one */
    struct progress progress;
};

/* --- what is refused --- */

static int refuse(const struct log_scan *s, uint64_t offset)
{
    report(REPORT_ERROR,
           "corrupt frame in sealed segment %s at offset %" PRIu64
           "; acknowledged history is damaged: restore this file from a backup, talead changes nothing here",
           log_scan_path(s), offset);
    return EUCLEAN;
}

static int missing_segment(const struct recovery *r, uint64_t position)
{
    char name[SEGMENT_NAME_MAX];
    segment_name(position, name);
    report(REPORT_ERROR, "%s/" DATA_DIR_LOG "/%s is missing: restore it from a backup", r->data_dir, name);
    return EUCLEAN;
}

static int foreign_segment(const struct log_scan *s)
{
    report(REPORT_ERROR,
           "%s does not continue the segment before it: files of two ledgers, or of two times of one, are mixed; "
           "restore the whole directory from one backup",
           log_scan_path(s));
    return EUCLEAN;
}

static int unreadable(const struct log_scan *s, int error)
{
    report(REPORT_ERROR, "cannot read %s: %s", log_scan_path(s), strerror(error));
    return error;
}

/* Opens a segment; what is wrong with its header is reported. */
static int open_segment(const char *data_dir, uint64_t position, uint64_t end, struct log_scan **out)
{
    int error = log_scan_open(data_dir, position, end, out);
    switch (error) {
    case 0:
        return 0;
    case EBADMSG:
        error = refuse(*out, 0);
        break;
    case ENOTSUP:
        report(REPORT_ERROR, "%s has format version %u, this talead knows %u: start a newer talead", log_scan_path(*out),
               log_scan_header(*out)->version, LOG_FORMAT_VERSION);
        error = EUCLEAN;
        break;
    case EXDEV:
        report(REPORT_ERROR,
               "%s says it begins at position %" PRIu64 ": the file was renamed or swapped; "
               "put every segment back under its own name",
               log_scan_path(*out), log_scan_header(*out)->position);
        error = EUCLEAN;
        break;
    default:
        report(REPORT_ERROR, "cannot read the segment at position %" PRIu64 " in %s/" DATA_DIR_LOG ": %s", position,
               data_dir, strerror(error));
        break;
    }
    log_scan_close(out);
    return error;
}

/* --- walking --- */

/*
 * Walks batches from `mark` while they are good. On return mark is behind the
 * last good one; *sealed says that it was the segment's seal.
 */
static int walk(struct recovery *r, struct log_scan *s, struct log_mark *mark, bool visit, bool *sealed)
{
    struct batch_header header;
    struct bytes payload;
    int error;
    *sealed = false;
    while (!*sealed && (error = log_scan_next(s, mark, &header, &payload)) == 0) {
        r->last_batch = header.position;
        error = visit ? r->plan->visit(r->plan->context, &header, payload, mark) : 0;
        if (error)
            return error;
        if (visit)
            progress_step(&r->progress, mark->position - r->begun_at, r->end - r->begun_at);
        *sealed = header.flags == BATCH_SEAL_SEGMENT;
    }
    if (*sealed || error == ENODATA || error == EBADMSG)
        return 0;
    return unreadable(s, error);
}

static int cut_tail(const struct log_scan *s, uint64_t offset)
{
    report(REPORT_WARNING,
           "torn tail in %s at offset %" PRIu64 ": a batch that was never acknowledged is cut (a crash in the middle of a write)",
           log_scan_path(s), offset);
    int fd = open(log_scan_path(s), O_RDWR | O_CLOEXEC);
    int error = fd < 0 || ftruncate(fd, (off_t)offset) != 0 || fsync(fd) != 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    if (error)
        report(REPORT_ERROR, "cannot cut the torn tail of %s: %s", log_scan_path(s), strerror(error));
    return error;
}

static int log_ends_early(const struct recovery *r, const struct log_scan *s, const struct log_mark *mark)
{
    report(REPORT_ERROR,
           "the log ends at position %" PRIu64 " (%s offset %" PRIu64 "), but the %s has witnessed %" PRIu64
           " as durable: a part of the log is missing; restore it from a backup",
           mark->position, log_scan_path(s), mark->position - log_scan_segment(s), r->plan->witness_name, r->witness);
    return EUCLEAN;
}

/* The last segment was walked up to `mark` and no good batch stands there. */
static int judge_end(const struct recovery *r, struct log_scan *s, const struct log_mark *mark)
{
    uint64_t offset = mark->position - log_scan_segment(s);
    bool later = false, zero = true;
    int error = log_scan_find_later(s, mark, &later);
    if (error == 0)
        error = log_scan_rest_is_zero(s, offset, &zero);
    if (error)
        return unreadable(s, error);
    bool witnessed = mark->position < r->witness;
    /* Of what was witnessed: then it is not missing, but bad. */
    bool all_there = log_scan_segment(s) + log_scan_size(s) >= r->witness;
    if (later || (witnessed && all_there && !zero))
        return refuse(s, offset);
    if (witnessed)
        return log_ends_early(r, s, mark);
    return zero ? 0 : cut_tail(s, offset);
}

static bool continues(const struct segment_header *header, const struct log_mark *mark)
{
    return memcmp(&header->ledger, &mark->ledger, sizeof mark->ledger) == 0 &&
           memcmp(&header->chain, &mark->chain, sizeof mark->chain) == 0 && header->next_batch == mark->next_batch;
}

/* Walks one segment from its header on (or from `mark`, if that lies inside) to its end. */
static int recover_segment(struct recovery *r, size_t i, struct log_mark *mark, bool *sealed)
{
    bool last = i + 1 == r->list.count;
    struct log_scan *s;
    int error = open_segment(r->data_dir, r->list.positions[i], UINT64_MAX, &s);
    if (error)
        return error;
    if (mark->position == log_scan_segment(s)) { /* continues from the segment before */
        if (!continues(log_scan_header(s), mark))
            error = foreign_segment(s);
        mark->position += SEGMENT_HEADER_BYTES;
    }
    if (error == 0)
        error = walk(r, s, mark, true, sealed);
    if (error == 0 && !*sealed)
        error = last ? judge_end(r, s, mark) : refuse(s, mark->position - log_scan_segment(s));
    if (error == 0 && *sealed && !last && mark->position != r->list.positions[i + 1])
        error = missing_segment(r, mark->position);
    if (error == 0 && *sealed && last && mark->position < r->witness)
        error = missing_segment(r, mark->position);
    log_scan_close(&s);
    return error;
}

/* Headers of the segments before `first`, and the batches of the newest of them. */
static int check_behind(struct recovery *r, size_t first)
{
    for (size_t i = first; i-- > 0;) {
        struct log_scan *s;
        int error = open_segment(r->data_dir, r->list.positions[i], UINT64_MAX, &s);
        if (error)
            return error;
        struct log_mark mark = log_scan_begin(s);
        bool sealed = true;
        uint64_t end = log_scan_segment(s) + log_scan_size(s);
        if (end != r->list.positions[i + 1])
            error = missing_segment(r, end);
        else if (r->list.positions[first] - log_scan_segment(s) <= CHECK_BEHIND_BYTES)
            error = walk(r, s, &mark, false, &sealed);
        if (error == 0 && !sealed)
            error = refuse(s, mark.position - log_scan_segment(s));
        log_scan_close(&s);
        if (error)
            return error;
    }
    return 0;
}

/* Good batches end at `mark`, before the position that was to be begun at. */
static int judge_head(struct recovery *r, size_t i, const struct log_mark *mark, bool sealed)
{
    struct log_scan *s;
    if (sealed)
        return missing_segment(r, mark->position);
    int error = open_segment(r->data_dir, r->list.positions[i], UINT64_MAX, &s);
    if (error)
        return error;
    error = i + 1 == r->list.count ? judge_end(r, s, mark) : refuse(s, mark->position - log_scan_segment(s));
    log_scan_close(&s);
    return error;
}

/* The part of the segment that holds `from`, before it: not visited, but checked. */
static int check_head_of_segment(struct recovery *r, size_t i, const struct log_mark *from)
{
    struct log_scan *s;
    int error = open_segment(r->data_dir, r->list.positions[i], from->position, &s);
    if (error)
        return error;
    if (memcmp(&log_scan_header(s)->ledger, &from->ledger, sizeof from->ledger) != 0)
        error = foreign_segment(s);
    struct log_mark mark = log_scan_begin(s);
    if (error == 0 && from->position > mark.position && from->position - log_scan_segment(s) <= CHECK_BEHIND_BYTES) {
        bool sealed;
        error = walk(r, s, &mark, false, &sealed);
        if (error == 0 && mark.position != from->position)
            error = judge_head(r, i, &mark, sealed);
        if (error == 0 && memcmp(&mark.chain, &from->chain, sizeof mark.chain) != 0)
            error = foreign_segment(s);
    }
    log_scan_close(&s);
    return error;
}

static int begin_at(struct recovery *r, size_t *first, struct log_mark *mark)
{
    const struct log_mark *from = r->plan->from;
    if (r->list.positions[0] != 0)
        return missing_segment(r, 0);
    *first = 0;
    if (from) {
        while (*first + 1 < r->list.count && r->list.positions[*first + 1] <= from->position)
            ++*first;
        *mark = *from;
        int error = check_behind(r, *first);
        /* A mark at a segment's first byte is the end of the one before. */
        if (error == 0 && from->position != r->list.positions[*first])
            error = check_head_of_segment(r, *first, from);
        return error;
    }
    struct uuid ledger;
    int error = log_identify(r->data_dir, &ledger);
    *mark = (struct log_mark){.position = 0, .next_batch = 1, .chain = chain_genesis(ledger), .ledger = ledger};
    return error;
}

static int recover_all(struct recovery *r, struct recovered_log *out)
{
    size_t first;
    struct log_mark mark;
    bool sealed = false;
    int error = begin_at(r, &first, &mark);
    r->begun_at = mark.position;
    progress_begin(&r->progress, recovery_step_words(RECOVERY_REPLAYING), r->plan->progress, r->plan->progress_context);
    for (size_t i = first; error == 0 && i < r->list.count; i++)
        error = recover_segment(r, i, &mark, &sealed);
    if (error)
        return error;
    out->head = (struct log_head){
        .ledger = mark.ledger,
        .segment = r->list.positions[r->list.count - 1],
        .position = mark.position,
        .next_batch = mark.next_batch,
        .chain = mark.chain,
    };
    out->last_batch = r->last_batch > out->head.segment ? r->last_batch : mark.position;
    out->segment_sealed = sealed;
    return 0;
}

/* ENOENT: there is none. */
static int list_segments(const char *data_dir, struct segment_list *out)
{
    int error = segment_list_read(data_dir, out);
    if (error)
        report(REPORT_ERROR, "cannot list %s/" DATA_DIR_LOG ": %s", data_dir, strerror(error));
    return error ? error : out->count ? 0 : ENOENT;
}

int log_recover(const char *data_dir, const struct log_recovery_plan *plan, struct recovered_log *out)
{
    struct recovery r = {.data_dir = data_dir, .plan = plan, .witness = plan->witness};
    if (plan->from && plan->from->position > r.witness)
        r.witness = plan->from->position;
    struct log_scan *last;
    int error = list_segments(data_dir, &r.list);
    if (error == 0)
        error = open_segment(data_dir, r.list.positions[r.list.count - 1], UINT64_MAX, &last);
    if (error == 0) {
        r.end = log_scan_segment(last) + log_scan_size(last);
        log_scan_close(&last);
        error = recover_all(&r, out);
    }
    segment_list_free(&r.list);
    return error;
}

int log_identify(const char *data_dir, struct uuid *ledger)
{
    struct segment_list list;
    struct log_scan *s;
    int error = list_segments(data_dir, &list);
    if (error == 0)
        error = open_segment(data_dir, list.positions[0], UINT64_MAX, &s);
    if (error == 0) {
        *ledger = log_scan_header(s)->ledger;
        log_scan_close(&s);
    }
    segment_list_free(&list);
    return error;
}
