#include "server/verify.h"

/*
 * Goes through the log once and builds a ledger of its own from it; on the way
 * rows of the index that never change are held against it, in the end the
 * rest of the index and the spilled keys. Beside a running server everything
 * is done up to what the index holds, since only that is known to be durable.
 *
 * All of it runs in a child: LMDB does not check its pages, so a damaged file
 * can kill who reads it, and that is a verdict too.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/data_dir.h"
#include "common/exit_status.h"
#include "common/index_state.h"
#include "common/report.h"
#include "common/snapshot_file.h"
#include "server/audit_index.h"

#define CATCH_UP_ROUNDS 20
#define CATCH_UP_BYTES (1u << 20) /* closer than this, the rest is read while the index stands still for us */

struct verify {
    const char *data_dir, *from, *expect;
    bool served;
    struct sha256 expected;
    uint64_t met_at; /* position at which the expected head was met; 0: not yet */
    uint64_t begun_at;
    struct audit_ledger *ledger;
    struct audit_index index; /* reader NULL: not looked at */
    uint64_t index_position;  /* rows of batches before it are in the index */
    bool holding;             /* a read transaction is open over several batches */
    char note[256];           /* why the index was not looked at */
    uint64_t foreign_snapshot; /* position of one that is another ledger's; 0: none */
    struct key_reader *keys;
    struct key_reader_state keys_state;
    struct log_tour tour;
    struct progress progress;
    uint64_t log_bytes;
    struct fault fault;
};

/* --- arguments --- */

static int read_digest(const char *hex, struct sha256 *out)
{
    if (strlen(hex) != 2 * SHA256_SIZE || strspn(hex, "0123456789abcdefABCDEF") != 2 * SHA256_SIZE)
        return EINVAL;
    for (size_t i = 0; i < SHA256_SIZE; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        out->octets[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return 0;
}

static int read_arguments(const struct arguments *arguments, struct verify *v)
{
    v->data_dir = arguments->operand;
    v->from = argument(arguments, "--from");
    v->expect = argument(arguments, "--expect");
    if (v->expect && read_digest(v->expect, &v->expected) != 0) {
        report_usage_error("verify: --expect takes a head: 64 hex digits");
        return EINVAL;
    }
    return 0;
}

/* --- the log --- */

static void meet(struct verify *v, const struct log_mark *mark)
{
    if (v->expect && v->met_at == 0 && memcmp(&mark->chain, &v->expected, sizeof v->expected) == 0)
        v->met_at = mark->position;
}

static int apply_events(struct verify *v, const struct tour_batch *batch, const struct audit_rows *rows)
{
    const char *path = batch->path;
    const struct batch_header *header = batch->header;
    struct bytes payload = batch->payload;
    uint32_t count = 0;
    uint64_t position = header->position + BATCH_HEADER_BYTES;
    for (; payload.len > 0; count++) {
        struct event event;
        size_t length;
        if (event_unpack(payload, &event, &length) != 0)
            return fault_set(&v->fault, "damaged: %s: the event at position %" PRIu64 " is malformed", path, position);
        int error = audit_ledger_apply(v->ledger, path, header->position, position, bytes_of(payload.base, length),
                                       &event, rows, &v->fault);
        if (error)
            return error;
        payload.base += length;
        payload.len -= length;
        position += length;
    }
    if (count != header->event_count)
        return fault_set(&v->fault, "damaged: %s: the batch at position %" PRIu64 " does not hold the events it says",
                         path, header->position);
    return 0;
}

/* No CRC and no chain value covers it, but talead(8) never writes anything else there than zeros. */
static int check_padding(struct verify *v, const struct tour_batch *batch)
{
    size_t told = BATCH_HEADER_BYTES + batch->payload.len + SHA256_SIZE;
    for (size_t at = told; at < batch->whole.len; at++)
        if (batch->whole.base[at] != 0)
            return fault_set(&v->fault, "damaged: %s at offset %" PRIu64 ": the batch is padded with other than zeros; "
                             "restore this file from a backup", batch->path,
                             batch->header->position - batch->segment->position + at);
    return 0;
}

static int index_unreadable(struct verify *v, int error)
{
    return fault_set(&v->fault, "cannot read the index in %s: %s; talead reindex makes it anew", v->data_dir,
                     strerror(error));
}

static int visit(void *context, const struct tour_batch *batch)
{
    struct verify *v = context;
    struct audit_rows rows = audit_index_rows(&v->index);
    bool in_index = v->index.reader && batch->header->position < v->index_position;
    bool begin = in_index && !v->holding;
    int error = begin ? index_reader_begin(v->index.reader, 0) : 0;
    if (error)
        return index_unreadable(v, error);
    error = apply_events(v, batch, in_index ? &rows : NULL);
    if (begin)
        index_reader_end(v->index.reader);
    if (error == 0)
        error = check_padding(v, batch);
    meet(v, batch->after);
    progress_step(&v->progress, batch->after->position - v->begun_at, v->log_bytes);
    return error;
}

/* --- the index --- */

static int read_meta(struct verify *v, struct index_meta *meta)
{
    int error = index_reader_begin(v->index.reader, 0);
    if (error)
        return error;
    error = index_reader_meta(v->index.reader, meta);
    if (error == ENOENT) { /* nothing was ever committed */
        *meta = (struct index_meta){.position = 0};
        error = 0;
    }
    index_reader_end(v->index.reader);
    return error;
}

static void index_not_looked_at(struct verify *v, const char *why)
{
    snprintf(v->note, sizeof v->note, "; the index was not looked at: %s, the next start makes it anew", why);
}

static int open_index(struct verify *v, struct uuid ledger)
{
    const char *why;
    uint64_t sealed_at;
    struct index_meta meta;
    char *path = data_dir_path(v->data_dir, DATA_DIR_INDEX);
    bool usable = index_state_usable(path, ledger, &sealed_at, &why);
    free(path);
    if (!usable) {
        index_not_looked_at(v, why ? why : "there is none");
        return 0;
    }
    v->index = (struct audit_index){.data_dir = v->data_dir, .fault = &v->fault};
    int error = index_reader_open(v->data_dir, &v->index.reader);
    if (error == 0)
        error = read_meta(v, &meta);
    if (error)
        return index_unreadable(v, error);
    if (sealed_at != 0 && meta.position != sealed_at) {
        index_not_looked_at(v, "its STATE tells of another position than it holds");
        index_reader_close(&v->index.reader);
    }
    if (v->index.reader && meta.position > 0 && meta.version != INDEX_VERSION) {
        index_not_looked_at(v, index_error_text(EPROTO));
        index_reader_close(&v->index.reader);
    }
    v->index_position = meta.position;
    return 0;
}

/* Follows a server that goes on committing, until little is missing. */
static int catch_up(struct verify *v)
{
    int error = 0;
    for (int round = 0; error == 0 && round < CATCH_UP_ROUNDS; round++) {
        struct index_meta meta;
        error = log_tour_go(&v->tour, v->index_position);
        int failed = error ? 0 : read_meta(v, &meta);
        if (failed)
            return index_unreadable(v, failed);
        if (error == 0) {
            bool close = meta.position - v->index_position <= CATCH_UP_BYTES;
            v->index_position = meta.position;
            if (close)
                break;
        }
    }
    return error;
}

/* In one read transaction: the last batches, and all that changes. */
static int compare_index(struct verify *v)
{
    struct index_meta meta;
    int error = index_reader_begin(v->index.reader, 0);
    if (error == 0)
        error = index_reader_meta(v->index.reader, &meta);
    if (error)
        return index_unreadable(v, error);
    v->holding = true;
    v->index_position = meta.position;
    error = log_tour_go(&v->tour, meta.position);
    if (error == 0 && memcmp(&meta.chain, &v->tour.mark.chain, sizeof meta.chain) != 0)
        error = fault_set(&v->fault, "the index in %s belongs to another history of this ledger; talead reindex %s "
                          "makes it anew", v->data_dir, v->data_dir);
    if (error == 0)
        error = audit_index_compare(&v->index, v->ledger);
    v->holding = false;
    index_reader_end(v->index.reader);
    return error;
}

static int go_with_index(struct verify *v)
{
    if (v->index_position < v->tour.mark.position || v->index_position == 0)
        return 0; /* behind the snapshot that was begun with: nothing to compare */
    int error = catch_up(v);
    return error ? error : compare_index(v);
}

/* --- what else there is --- */

static int open_keys(struct verify *v, struct uuid ledger)
{
    int error = key_reader_open(v->data_dir, &v->keys);
    if (error == 0)
        error = key_reader_begin(v->keys, &v->keys_state);
    if (error == 0 && memcmp(&v->keys_state.ledger, &ledger, sizeof ledger) != 0)
        error = EBADMSG;
    if (error) /* nothing spilled yet; or the state is no state, which a start rebuilds, but it is damage */
        key_reader_close(&v->keys);
    if (error && error != ENOENT)
        return fault_set(&v->fault, "damaged: %s/" DATA_DIR_IDEMPOTENCY " is damaged or another ledger's: talead reindex %s "
                         "makes it anew", v->data_dir, v->data_dir);
    return 0;
}

/* Does the log reach what something durable has seen? */
static int check_witness(struct verify *v, uint64_t position, const char *name)
{
    if (position <= v->tour.mark.position)
        return 0;
    return fault_set(&v->fault,
                     "the log ends at position %" PRIu64 ", but the %s has witnessed %" PRIu64
                     " as durable: a part of the log is missing; restore it from a backup",
                     v->tour.mark.position, name, position);
}

static int check_witnesses(struct verify *v)
{
    const char *why;
    uint64_t sealed_at;
    char *path = data_dir_path(v->data_dir, DATA_DIR_INDEX);
    bool usable = index_state_usable(path, v->tour.mark.ledger, &sealed_at, &why);
    free(path);
    uint64_t snapshot;
    int unreadable = snapshot_newest_of(v->data_dir, v->tour.mark.ledger, &snapshot, &v->foreign_snapshot);
    if (unreadable)
        return fault_set(&v->fault, "cannot read %s/" DATA_DIR_SNAPSHOTS ": %s", v->data_dir, strerror(unreadable));
    int error = usable ? 0 : check_witness(v, sealed_at, "clean stop"); /* one that is usable was asked itself */
    if (error == 0 && !v->served) /* one that was made meanwhile may be ahead */
        error = check_witness(v, snapshot, "newest snapshot");
    if (error == 0 && v->keys)
        error = check_witness(v, v->keys_state.position, "idempotency index");
    return error;
}

/* --- all of it --- */

static char *path_of_snapshot(const struct verify *v)
{
    uint64_t position;
    if (snapshot_name_parse(v->from, &position) == 0)
        return snapshot_path(v->data_dir, position);
    return strdup(v->from);
}

static int begin(struct verify *v)
{
    struct uuid ledger;
    int error = 0;
    if (log_tour_ledger(v->data_dir, &ledger, &v->fault) != 0)
        return log_tour_go(&v->tour, UINT64_MAX); /* it says more of what is wrong */
    if (v->from) {
        char *file = path_of_snapshot(v);
        error = audit_snapshot_load(file, v->ledger, &v->tour.mark, &v->fault);
        if (error == 0 && memcmp(&v->tour.mark.ledger, &ledger, sizeof ledger) != 0)
            error = fault_set(&v->fault, "snapshot %s is another ledger's", file);
        free(file);
    }
    v->begun_at = v->tour.mark.position;
    uint64_t end = log_tour_file_end(v->data_dir);
    v->log_bytes = end > v->begun_at ? end - v->begun_at : 0;
    if (error == 0)
        error = open_keys(v, ledger);
    return error ? error : open_index(v, ledger);
}

static int verify(struct verify *v)
{
    v->served = data_dir_is_locked(v->data_dir);
    v->tour = (struct log_tour){.data_dir = v->data_dir, .fault = &v->fault, .visit = visit, .context = v};
    v->ledger = audit_ledger_create();
    progress_begin(&v->progress, "verifying the log", NULL, NULL);
    int error = begin(v);
    if (error == 0 && v->served && !v->index.reader)
        error = fault_set(&v->fault, "%s is locked by a talead that has not recovered yet: try again when it is ready",
                          v->data_dir);
    if (error == 0)
        meet(v, &v->tour.mark);
    if (error == 0 && v->index.reader)
        error = go_with_index(v);
    if (error == 0 && !v->served)
        error = log_tour_go(&v->tour, UINT64_MAX);
    if (error == 0)
        error = check_witnesses(v);
    if (error == 0 && v->keys)
        error = audit_keys_compare(v->keys, &v->keys_state, v->data_dir, v->begun_at, v->ledger, &v->fault);
    if (error == 0 && v->expect && v->met_at == 0)
        error = fault_set(&v->fault,
                          "the head %s is nowhere in %s: this is another history than the one that was noted; do not "
                          "serve it before it is known why", v->expect, v->data_dir);
    return error;
}

static void print_verdict(const struct verify *v)
{
    char head[2 * SHA256_SIZE + 1], extra[160] = "";
    const struct audit_ledger *l = v->ledger;
    sha256_format(&v->tour.mark.chain, head);
    if (v->begun_at)
        snprintf(extra, sizeof extra, ", from the snapshot at position %" PRIu64 " on", v->begun_at);
    if (v->expect)
        snprintf(extra + strlen(extra), sizeof extra - strlen(extra), "; the expected head was met at position %" PRIu64,
                 v->met_at);
    printf("verify: %s is whole%s: %" PRIu64 " segments, %" PRIu64 " batches, %" PRIu64 " events, %u books, %" PRIu64
           " accounts; head %s at position %" PRIu64 "%s",
           v->data_dir, extra, v->tour.segments, v->tour.batches, l->event_count, l->book_count, l->account_count,
           head, v->tour.mark.position, v->index.reader ? "; the index agrees" : v->note);
    if (v->keys)
        printf("; %" PRIu64 " spilled keys agree", v->keys_state.key_count);
    if (v->tour.torn_bytes)
        printf("; torn tail of %" PRIu64 " bytes, never acknowledged, which the next start cuts", v->tour.torn_bytes);
    if (v->foreign_snapshot)
        printf("; the snapshot of position %" PRIu64 " is another ledger's: remove it", v->foreign_snapshot);
    putchar('\n');
}

static int run(struct verify *v)
{
    report_set_process("verify");
    int error = verify(v);
    if (error)
        printf("verify: %s\n", v->fault.text);
    else
        print_verdict(v);
    audit_ledger_destroy(&v->ledger);
    index_reader_close(&v->index.reader);
    key_reader_close(&v->keys);
    return fflush(stdout) != 0 || error ? EXIT_STATUS_FAILED : EXIT_STATUS_OK;
}

int verify_command(const struct arguments *arguments)
{
    struct verify v = {.met_at = 0};
    int status;
    if (read_arguments(arguments, &v) != 0)
        return EXIT_STATUS_USAGE;
    pid_t child = fork();
    if (child == 0)
        exit(run(&v));
    if (child < 0 || waitpid(child, &status, 0) != child)
        report_fatal(EXIT_STATUS_FAILED, "fork: %s", strerror(errno));
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    printf("verify: reading the index or the spilled keys in %s ended with signal %d: one of them is damaged; talead "
           "reindex %s makes both anew\n",
           v.data_dir, WTERMSIG(status), v.data_dir);
    return EXIT_STATUS_FAILED;
}
