#include "server/backup.h"

/*
 * The log is copied up to where it is known to be durable, each batch proved
 * on its way, and then the newest snapshot that is not ahead of that, so that
 * the copy starts fast. All else a start makes from these two. Nobody is asked
 * to wait: what lies before the durable position never changes any more.
 *
 * A first backup grows under the name DIR.partial and is renamed when it is
 * whole; one that was interrupted is continued. An incremental one is DIR's own
 * log continued: the chain value proves that it is the same history. Every
 * file appears by rename, so DIR is a ledger that can be served at any moment.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/data_dir.h"
#include "common/durable_file.h"
#include "common/exit_status.h"
#include "common/log_reader.h"
#include "common/paced_file.h"
#include "common/report.h"
#include "common/rfc3339.h"
#include "common/snapshot_file.h"
#include "server/find_ledger.h"
#include "server/json_text.h"
#include "server/log_tour.h"
#include "server/segment_copy.h"

struct backup {
    const char *ledger;  /* its directory */
    const char *name;    /* of the backup, as given */
    bool incremental;
    char *dir;           /* where it is made: the name, or with .partial behind it */
    struct log_mark last, have; /* before and behind the last batch that it holds already; position 0: none */
    bool met;            /* the ledger holds that batch too */
    struct log_tour tour;
    struct segment_copy *copy; /* NULL: none is under way */
    uint64_t copied_segment;
    uint64_t batches, bytes; /* that are new */
    uint64_t log_bytes;      /* about how many there are, for the progress */
    struct progress progress;
    struct fault fault;
};

/* --- the directory it is made in --- */

static int failed(struct backup *b, const char *what, const char *path, int error)
{
    return fault_set(&b->fault, "cannot %s %s: %s", what, path, strerror(error));
}

static bool is_empty_folder(const char *path)
{
    DIR *dir = opendir(path);
    int count = 0;
    while (dir && count <= 2 && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return dir && count == 2;
}

static int make_folder(struct backup *b, const char *path)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return failed(b, "make", path, errno);
    int error = directory_sync_parent(path);
    return error ? failed(b, "sync the folder of", path, error) : 0;
}

static int make_folders(struct backup *b)
{
    static const char *const folders[] = {DATA_DIR_LOG, DATA_DIR_SNAPSHOTS};
    int error = make_folder(b, b->dir);
    for (size_t i = 0; error == 0 && i < sizeof folders / sizeof *folders; i++) {
        char *path = data_dir_path(b->dir, folders[i]);
        error = make_folder(b, path);
        free(path);
    }
    return error;
}

static int name_dir(struct backup *b)
{
    int length = (int)strlen(b->name);
    while (length > 1 && b->name[length - 1] == '/')
        length--;
    if (asprintf(&b->dir, "%.*s%s", length, b->name, b->incremental ? "" : ".partial") < 0)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    bool there = access(b->name, F_OK) == 0;
    if (b->incremental && !there)
        return fault_set(&b->fault, "there is no backup %s that could be added to; leave --incremental out", b->name);
    if (!b->incremental && there && !is_empty_folder(b->name))
        return fault_set(&b->fault, "%s is there already: add to an earlier backup by --incremental, or name a new "
                         "directory", b->name);
    return b->incremental ? 0 : make_folders(b);
}

static int take_dir(struct backup *b)
{
    int error = name_dir(b);
    if (error)
        return error;
    error = data_dir_lock(b->dir);
    if (error == EWOULDBLOCK)
        return fault_set(&b->fault, "%s is in use: it is served, or another backup is writing it", b->dir);
    return error ? failed(b, "lock", b->dir, error) : 0;
}

/* --- what it holds already --- */

static int note_batch(void *context, const struct tour_batch *batch)
{
    struct backup *b = context;
    b->last = *batch->before;
    b->have = *batch->after;
    return 0;
}

static int read_earlier(struct backup *b, struct uuid ledger)
{
    struct uuid of_backup;
    struct segment_list list;
    struct log_tour tour = {.data_dir = b->dir, .fault = &b->fault, .visit = note_batch, .context = b};
    int error = segment_list_read(b->dir, &list);
    size_t count = error ? 0 : list.count;
    segment_list_free(&list);
    if (error)
        return failed(b, "list the log of", b->dir, error);
    if (count == 0 && !b->incremental)
        return 0;
    error = log_tour_ledger(b->dir, &of_backup, &b->fault);
    if (error == 0 && memcmp(&of_backup, &ledger, sizeof ledger) != 0)
        error = fault_set(&b->fault, "%s is a backup of another ledger than %s", b->dir, b->ledger);
    return error ? error : log_tour_go(&tour, UINT64_MAX);
}

/* --- the log --- */

static int differ(struct backup *b)
{
    return fault_set(&b->fault,
                     "%s is no longer a part of %s: they differ at position %" PRIu64 ", because one of them was "
                     "served from an earlier state or is damaged (talead verify tells); begin a new backup elsewhere",
                     b->dir, b->ledger, b->last.position);
}

/* The batch that both must hold. Its chain value stands for all before it. */
static int meet(struct backup *b, const struct tour_batch *batch)
{
    b->met = memcmp(&batch->after->chain, &b->have.chain, sizeof b->have.chain) == 0;
    return b->met ? 0 : differ(b);
}

static int finish_segment(struct backup *b)
{
    int error = b->copy ? segment_copy_finish(&b->copy) : 0;
    return error ? failed(b, "write the log of", b->dir, error) : 0;
}

static int enter_segment(struct backup *b, const struct segment_header *segment, uint64_t offset)
{
    uint64_t keep = offset > SEGMENT_HEADER_BYTES ? offset : 0;
    int error = finish_segment(b);
    if (error)
        return error;
    error = segment_copy_begin(b->dir, segment, keep, &b->copy);
    b->copied_segment = segment->position;
    return error ? failed(b, "write the log of", b->dir, error) : 0;
}

static int copy_batch(void *context, const struct tour_batch *batch)
{
    struct backup *b = context;
    uint64_t position = batch->header->position;
    int error = 0;
    if (position < b->have.position)
        return meet(b, batch);
    if (!b->copy || b->copied_segment != batch->segment->position)
        error = enter_segment(b, batch->segment, position - batch->segment->position);
    if (error)
        return error;
    error = segment_copy_append(b->copy, batch->whole);
    if (error)
        return failed(b, "write the log of", b->dir, error);
    b->batches++;
    b->bytes += batch->whole.len;
    progress_step(&b->progress, batch->after->position - b->have.position, b->log_bytes - b->have.position);
    return 0;
}

/* A ledger without any batch is its first header. */
static int copy_first_header(struct backup *b)
{
    struct log_scan *s;
    int error = log_scan_open(b->ledger, 0, UINT64_MAX, &s);
    if (error == 0)
        error = enter_segment(b, log_scan_header(s), 0);
    log_scan_close(&s);
    return error == EUCLEAN ? error : error ? failed(b, "read the log of", b->ledger, error) : finish_segment(b);
}

static int copy_log(struct backup *b, uint64_t end)
{
    b->tour = (struct log_tour){.data_dir = b->ledger, .fault = &b->fault, .visit = copy_batch, .context = b};
    if (b->have.position)
        b->tour.mark = b->last;
    b->log_bytes = end == UINT64_MAX ? log_tour_file_end(b->ledger) : end;
    progress_begin(&b->progress, "copying the log", NULL, NULL);
    bool behind = end < b->have.position;
    int error = behind ? 0 : log_tour_go(&b->tour, end);
    /* Not even the batch that both must hold was good there. */
    if (b->have.position && !b->met)
        error = differ(b);
    if (error == 0)
        error = finish_segment(b);
    segment_copy_abandon(&b->copy);
    return error == 0 && b->tour.mark.position == SEGMENT_HEADER_BYTES ? copy_first_header(b) : error;
}

/* --- the snapshot --- */

static int copy_snapshot_to(const char *from, const char *to, struct uuid ledger)
{
    struct snapshot_trailer trailer;
    struct progress progress;
    int in = open(from, O_RDONLY | O_CLOEXEC);
    struct paced_file out = {.bytes_per_s = PACED_BYTES_PER_S};
    out.fd = in < 0 ? -1 : open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int error = out.fd < 0 ? errno : 0;
    progress_begin(&progress, "copying the snapshot", NULL, NULL);
    if (error == 0)
        error = snapshot_copy_paced(in, &out, &trailer, &progress);
    if (error == 0 && memcmp(&trailer.ledger, &ledger, sizeof ledger) != 0)
        error = EXDEV;
    if (out.fd >= 0)
        close(out.fd);
    if (in >= 0)
        close(in);
    return error;
}

static int copy_snapshot(const struct backup *b, uint64_t position)
{
    char *from = snapshot_path(b->ledger, position);
    char *to = snapshot_path(b->dir, position);
    char *temporary;
    if (asprintf(&temporary, "%s.new", to) < 0)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    int error = paced_unlink(temporary);
    if (error == 0 || error == ENOENT)
        error = copy_snapshot_to(from, temporary, b->tour.mark.ledger);
    if (error == 0)
        error = durable_rename(temporary, to);
    if (error && paced_unlink(temporary) != 0)
        report(REPORT_DEBUG, "no half snapshot %s is left", temporary);
    if (error && error != ENOENT)
        report(REPORT_WARNING, "snapshot %s cannot be copied (%s): the backup is without it", from,
               error == EBADMSG ? "it is damaged" : error == EXDEV ? "it is another ledger's" : strerror(error));
    free(temporary);
    free(from);
    free(to);
    return error;
}

static int drop_older(const struct backup *b, uint64_t position)
{
    int error;
    while ((error = snapshot_newest_below(b->dir, position, &position)) == 0 && position) {
        char *path = snapshot_path(b->dir, position);
        int unremoved = paced_unlink(path);
        if (unremoved)
            report(REPORT_WARNING, "cannot remove the older snapshot %s: %s", path, strerror(unremoved));
        free(path);
    }
    return error;
}

static int bring_newer_than(const struct backup *b, uint64_t held)
{
    uint64_t position = b->tour.mark.position + 1; /* one that is ahead of the copied log would be none of it */
    int error;
    while ((error = snapshot_newest_below(b->ledger, position, &position)) == 0 && position > held)
        if (copy_snapshot(b, position) == 0)
            return drop_older(b, position);
    return error;
}

/* The newest good one that the copied log reaches. A backup without any is whole too, and starts more slowly. */
static void bring_snapshot(const struct backup *b)
{
    uint64_t held;
    int error = snapshot_newest_below(b->dir, UINT64_MAX, &held);
    if (error == 0)
        error = bring_newer_than(b, held);
    if (error)
        report(REPORT_WARNING, "cannot look for snapshots: %s: the backup is without a new one", strerror(error));
}

/* --- all of it --- */

static int publish(struct backup *b)
{
    if (b->incremental)
        return 0;
    if (rename(b->dir, b->name) != 0)
        return failed(b, "rename the finished backup", b->dir, errno);
    int error = directory_sync_parent(b->name);
    return error ? failed(b, "sync the folder of", b->name, error) : 0;
}

/* A ledger that nobody serves stays so meanwhile: its log is read to its very end. */
static int hold_ledger(struct backup *b)
{
    int error = data_dir_lock(b->ledger);
    if (error == ENOENT)
        return fault_set(&b->fault, "there is no ledger in %s", b->ledger);
    return error && error != EWOULDBLOCK ? failed(b, "lock", b->ledger, error) : error;
}

static int backup(struct backup *b)
{
    struct uuid ledger;
    uint64_t end = UINT64_MAX;
    int error = log_tour_ledger(b->ledger, &ledger, &b->fault);
    if (error)
        return error;
    error = hold_ledger(b);
    if (error == EWOULDBLOCK)
        error = log_tour_find_end(b->ledger, &end, &b->fault);
    if (error == 0)
        error = take_dir(b);
    if (error == 0)
        error = read_earlier(b, ledger);
    if (error == 0)
        error = copy_log(b, end);
    if (error)
        return error;
    bring_snapshot(b);
    return publish(b);
}

static void print_result(const struct backup *b, uint64_t took_ns)
{
    char head[2 * SHA256_SIZE + 1];
    sha256_format(&b->tour.mark.chain, head);
    printf("backup: %s holds %s: %" PRIu64 " new batches, %" PRIu64 " bytes, in %.1f s; head %s at position %" PRIu64
           "\n",
           b->name, b->ledger, b->batches, b->bytes, (double)took_ns / 1e9, head, b->tour.mark.position);
}

static void print_json(const struct backup *b, uint64_t took_ns)
{
    char head[2 * SHA256_SIZE + 1];
    struct buffer out = {0};
    struct json_text *j = json_text_create(&out);
    sha256_format(&b->tour.mark.chain, head);
    json_open_object(j);
    json_key(j, "batches");
    json_unsigned(j, b->batches);
    json_key(j, "bytes");
    json_unsigned(j, b->bytes);
    json_key(j, "seconds");
    json_number(j, (double)took_ns / 1e9, 3);
    json_field(j, "head", bytes_of_string(head));
    json_key(j, "position");
    json_unsigned(j, b->tour.mark.position);
    json_close_object(j);
    printf("%.*s\n", (int)out.len, (const char *)out.base);
    json_text_destroy(&j);
    buffer_free(&out);
}

int backup_command(const struct arguments *arguments)
{
    struct backup b = {.name = arguments->operand, .incremental = argument_given(arguments, "--incremental")};
    char *ledger = NULL;
    uint64_t begin = clock_monotonic_ns();
    if (find_ledger(arguments, &ledger) != 0)
        return EXIT_STATUS_FAILED;
    report_set_process("backup");
    b.ledger = ledger;
    int error = backup(&b);
    if (error)
        report_usage_error("backup: %s", b.fault.text);
    else if (argument_given(arguments, "--json"))
        print_json(&b, clock_monotonic_ns() - begin);
    else
        print_result(&b, clock_monotonic_ns() - begin);
    free(b.dir);
    free(ledger);
    return fflush(stdout) != 0 || error ? EXIT_STATUS_FAILED : EXIT_STATUS_OK;
}
