#include "arbiter/log_recovery.h"

/*
 * A segment is mapped and walked batch by batch. Segments before `from` are
 * not walked from their first byte when that would take long: their headers
 * are always checked against each other, their batches' CRCs for the newest
 * CHECK_BEHIND_BYTES (talead verify walks all).
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arbiter/directory.h"
#include "common/data_dir.h"
#include "common/log_reader.h"
#include "common/report.h"
#include "common/rfc3339.h"

#define CHECK_BEHIND_BYTES (256u << 20)
#define PROGRESS_EVERY_NS 3000000000u

struct mapped_segment {
    uint64_t position;
    char name[SEGMENT_NAME_MAX];
    char *path;
    uint8_t *base;
    uint64_t size;
    struct segment_header header;
};

struct recovery {
    const char *data_dir;
    struct segment_list list;
    uint64_t end; /* of the last segment's file, as position */
    log_batch_fn *visit;
    void *context;
    uint64_t last_progress_ns;
    uint64_t begun_ns;
    uint64_t begun_at; /* UINT64_MAX until the replay begins: what is before it is checked without telling progress */
};

static void unmap(struct mapped_segment *s)
{
    if (s->base)
        munmap(s->base, s->size);
    free(s->path);
    *s = (struct mapped_segment){0};
}

static int refuse(const struct mapped_segment *s, uint64_t offset)
{
    report(REPORT_ERROR,
           "corrupt frame in sealed segment %s at offset %" PRIu64
           "; acknowledged history is damaged: restore this file from a backup, talead changes nothing here",
           s->path, offset);
    return EUCLEAN;
}

static int map_file(struct mapped_segment *s)
{
    struct stat st;
    int fd = open(s->path, O_RDONLY | O_CLOEXEC);
    int error = fd < 0 || fstat(fd, &st) != 0 ? errno : 0;
    if (error == 0 && st.st_size >= SEGMENT_HEADER_BYTES) {
        s->size = (uint64_t)st.st_size;
        void *base = mmap(NULL, s->size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (base == MAP_FAILED)
            error = errno;
        else
            s->base = base;
    }
    if (fd >= 0)
        close(fd);
    if (error)
        report(REPORT_ERROR, "cannot read %s: %s", s->path, strerror(error));
    return error;
}

static int check_header(struct mapped_segment *s)
{
    int error = s->base ? segment_header_decode(s->base, &s->header) : EBADMSG;
    if (error == ENOTSUP) {
        report(REPORT_ERROR, "%s has format version %u, this talead knows %u: start a newer talead", s->path,
               s->header.version, LOG_FORMAT_VERSION);
        return EUCLEAN;
    }
    if (error)
        return refuse(s, 0);
    if (s->header.position != s->position) {
        report(REPORT_ERROR, "%s says it begins at position %" PRIu64 ": the file was renamed or swapped; "
               "put every segment back under its own name", s->path, s->header.position);
        return EUCLEAN;
    }
    return 0;
}

static int map_segment(const char *data_dir, uint64_t position, struct mapped_segment *out)
{
    *out = (struct mapped_segment){.position = position};
    segment_name(position, out->name);
    char *dir = data_dir_path(data_dir, DATA_DIR_LOG);
    out->path = data_dir_path(dir, out->name);
    free(dir);
    int error = map_file(out);
    if (error == 0)
        error = check_header(out);
    if (error)
        unmap(out);
    return error;
}

static void report_progress(struct recovery *r, uint64_t position)
{
    uint64_t now = clock_monotonic_ns();
    if (now - r->last_progress_ns < PROGRESS_EVERY_NS || r->end <= r->begun_at || position <= r->begun_at)
        return;
    r->last_progress_ns = now;
    uint64_t done = position - r->begun_at, all = r->end - r->begun_at;
    uint64_t spent_s = (now - r->begun_ns) / 1000000000u;
    uint64_t left_s = done ? (uint64_t)((double)spent_s * (double)(all - done) / (double)done) : 0;
    report(REPORT_INFO, "replaying the log: %" PRIu64 " %%, about %" PRIu64 " s left", done * 100 / all, left_s);
}

/*
 * Walks batches from `mark` while they are valid. On return mark is behind the
 * last good one; *sealed says that it was the segment's seal.
 */
static int walk(struct recovery *r, const struct mapped_segment *s, struct log_mark *mark, bool visit, bool *sealed)
{
    *sealed = false;
    for (;;) {
        uint64_t offset = mark->position - s->position;
        struct batch_header header;
        if (offset >= s->size || batch_verify(s->base + offset, s->size - offset, mark->position, &header) != 0)
            return 0;
        const uint8_t *at = s->base + offset;
        struct bytes payload = bytes_of(at + BATCH_HEADER_BYTES, header.payload_length);
        struct sha256 chain = batch_chain(&mark->chain, at, payload);
        /* The chain value is written last: a torn batch can have a good CRC and no chain value yet. */
        if (header.number != mark->next_batch ||
            memcmp(chain.octets, at + BATCH_HEADER_BYTES + header.payload_length, SHA256_SIZE) != 0)
            return 0;
        *mark = (struct log_mark){
            .position = mark->position + batch_disk_length(header.payload_length),
            .next_batch = header.number + 1,
            .chain = chain,
            .ledger = mark->ledger,
        };
        int error = visit ? r->visit(r->context, &header, payload, mark) : 0;
        if (error)
            return error;
        report_progress(r, mark->position);
        if (header.flags == BATCH_SEAL_SEGMENT) {
            *sealed = true;
            return 0;
        }
    }
}

/* Does any whole batch stand at or behind `offset`? It would prove that what is before it was durable. */
static bool later_batch(const struct mapped_segment *s, uint64_t offset)
{
    struct batch_header header;
    for (uint64_t o = (offset + BATCH_ALIGNMENT - 1) & ~(uint64_t)(BATCH_ALIGNMENT - 1);
         o + BATCH_HEADER_BYTES <= s->size; o += BATCH_ALIGNMENT)
        if (s->base[o] == 'T' && batch_verify(s->base + o, s->size - o, s->position + o, &header) == 0)
            return true;
    return false;
}

static bool all_zero(const uint8_t *p, uint64_t n)
{
    return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

static int cut_tail(const struct mapped_segment *s, uint64_t offset)
{
    report(REPORT_WARNING,
           "torn tail in %s at offset %" PRIu64 ": a batch that was never acknowledged is cut (a crash in the middle of a write)",
           s->path, offset);
    int fd = open(s->path, O_RDWR | O_CLOEXEC);
    int error = fd < 0 || ftruncate(fd, (off_t)offset) != 0 || fsync(fd) != 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    if (error)
        report(REPORT_ERROR, "cannot cut the torn tail of %s: %s", s->path, strerror(error));
    return error;
}

/* The last segment was walked up to `mark` and no valid batch stands there. */
static int judge_end(const struct mapped_segment *s, const struct log_mark *mark, uint64_t witness,
                     const char *witness_name)
{
    uint64_t offset = mark->position - s->position;
    if (offset < s->size && later_batch(s, offset + BATCH_ALIGNMENT))
        return refuse(s, offset);
    if (mark->position < witness) {
        report(REPORT_ERROR,
               "the log ends at position %" PRIu64 " (%s offset %" PRIu64 "), but the %s has witnessed %" PRIu64
               " as durable: a part of the log is missing; restore it from a backup",
               mark->position, s->path, offset, witness_name, witness);
        return EUCLEAN;
    }
    if (offset < s->size && !all_zero(s->base + offset, s->size - offset))
        return cut_tail(s, offset);
    return 0;
}

static int missing_segment(const struct recovery *r, uint64_t position)
{
    char name[SEGMENT_NAME_MAX];
    segment_name(position, name);
    report(REPORT_ERROR, "%s/" DATA_DIR_LOG "/%s is missing: restore it from a backup", r->data_dir, name);
    return EUCLEAN;
}

static int foreign_segment(const struct mapped_segment *s)
{
    report(REPORT_ERROR,
           "%s does not continue the segment before it: files of two ledgers, or of two times of one, are mixed; "
           "restore the whole directory from one backup",
           s->path);
    return EUCLEAN;
}

/* Walks one segment from its header on (or from `mark`, if that lies inside) to its end. */
static int recover_segment(struct recovery *r, size_t i, struct log_mark *mark, bool visit, uint64_t witness,
                           const char *witness_name, bool *sealed)
{
    bool last = i + 1 == r->list.count;
    struct mapped_segment s;
    int error = map_segment(r->data_dir, r->list.positions[i], &s);
    if (error)
        return error;
    if (mark->position == s.position) { /* continues from the segment before */
        if (memcmp(&s.header.ledger, &mark->ledger, sizeof mark->ledger) != 0 ||
            memcmp(&s.header.chain, &mark->chain, sizeof mark->chain) != 0 ||
            s.header.next_batch != mark->next_batch)
            error = foreign_segment(&s);
        mark->position += SEGMENT_HEADER_BYTES;
    }
    if (error == 0)
        error = walk(r, &s, mark, visit, sealed);
    if (error == 0 && !*sealed)
        error = last ? judge_end(&s, mark, witness, witness_name) : refuse(&s, mark->position - s.position);
    if (error == 0 && *sealed && !last && mark->position != r->list.positions[i + 1])
        error = missing_segment(r, mark->position);
    if (error == 0 && *sealed && last && mark->position < witness)
        error = missing_segment(r, mark->position);
    unmap(&s);
    return error;
}

/* Headers of the segments before `first`, and the batches of the newest of them. */
static int check_behind(struct recovery *r, size_t first)
{
    for (size_t i = first; i-- > 0;) {
        struct mapped_segment s;
        int error = map_segment(r->data_dir, r->list.positions[i], &s);
        if (error)
            return error;
        struct log_mark mark = {
            .position = s.position + SEGMENT_HEADER_BYTES,
            .next_batch = s.header.next_batch,
            .chain = s.header.chain,
            .ledger = s.header.ledger,
        };
        bool sealed = true;
        uint64_t next = r->list.positions[i + 1];
        if (s.position + s.size != next)
            error = missing_segment(r, s.position + s.size);
        else if (r->list.positions[first] - s.position <= CHECK_BEHIND_BYTES)
            error = walk(r, &s, &mark, false, &sealed);
        if (error == 0 && !sealed)
            error = refuse(&s, mark.position - s.position);
        unmap(&s);
        if (error)
            return error;
    }
    return 0;
}

/* The part of the segment that holds `from`, before it: not visited, but checked. */
static int check_head_of_segment(struct recovery *r, size_t i, const struct log_mark *from)
{
    struct mapped_segment s;
    int error = map_segment(r->data_dir, r->list.positions[i], &s);
    if (error)
        return error;
    if (memcmp(&s.header.ledger, &from->ledger, sizeof from->ledger) != 0)
        error = foreign_segment(&s);
    struct log_mark mark = {
        .position = s.position + SEGMENT_HEADER_BYTES,
        .next_batch = s.header.next_batch,
        .chain = s.header.chain,
        .ledger = s.header.ledger,
    };
    if (error == 0 && from->position > mark.position && from->position - s.position <= CHECK_BEHIND_BYTES) {
        struct mapped_segment before = s;
        bool sealed;
        before.size = from->position - s.position < s.size ? from->position - s.position : s.size;
        error = walk(r, &before, &mark, false, &sealed);
        if (error == 0 && mark.position != from->position)
            error = refuse(&s, mark.position - s.position);
        if (error == 0 && memcmp(&mark.chain, &from->chain, sizeof mark.chain) != 0)
            error = foreign_segment(&s);
    }
    unmap(&s);
    return error;
}

static int begin_at(struct recovery *r, const struct log_mark *from, size_t *first, struct log_mark *mark)
{
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

static int recover_all(struct recovery *r, const struct log_mark *from, uint64_t witness, const char *witness_name,
                       struct recovered_log *out)
{
    size_t first;
    struct log_mark mark;
    bool sealed = false;
    int error = begin_at(r, from, &first, &mark);
    r->begun_at = mark.position;
    for (size_t i = first; error == 0 && i < r->list.count; i++)
        error = recover_segment(r, i, &mark, true, witness, witness_name, &sealed);
    if (error)
        return error;
    out->head = (struct log_head){
        .ledger = mark.ledger,
        .segment = r->list.positions[r->list.count - 1],
        .position = mark.position,
        .next_batch = mark.next_batch,
        .chain = mark.chain,
    };
    out->segment_sealed = sealed;
    out->bytes = mark.position;
    return 0;
}

int log_recover(const char *data_dir, const struct log_mark *from, uint64_t witness, const char *witness_name,
                log_batch_fn *visit, void *context, struct recovered_log *out)
{
    struct recovery r = {.data_dir = data_dir, .visit = visit, .context = context, .begun_at = UINT64_MAX};
    r.begun_ns = r.last_progress_ns = clock_monotonic_ns();
    int error = segment_list_read(data_dir, &r.list);
    if (error)
        report(REPORT_ERROR, "cannot list %s/" DATA_DIR_LOG ": %s", data_dir, strerror(error));
    else if (r.list.count == 0)
        error = ENOENT;
    if (error == 0) {
        struct mapped_segment last;
        error = map_segment(data_dir, r.list.positions[r.list.count - 1], &last);
        if (error == 0) {
            r.end = last.position + last.size;
            unmap(&last);
        }
    }
    if (error == 0)
        error = recover_all(&r, from, witness, witness_name, out);
    segment_list_free(&r.list);
    return error;
}

int log_identify(const char *data_dir, struct uuid *ledger)
{
    struct segment_list list;
    int error = segment_list_read(data_dir, &list);
    if (error) {
        report(REPORT_ERROR, "cannot list %s/" DATA_DIR_LOG ": %s", data_dir, strerror(error));
        return error;
    }
    struct mapped_segment s;
    error = list.count ? map_segment(data_dir, list.positions[0], &s) : ENOENT;
    if (error == 0) {
        *ledger = s.header.ledger;
        unmap(&s);
    }
    segment_list_free(&list);
    return error;
}
