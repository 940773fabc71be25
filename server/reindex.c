#include "server/reindex.h"

/* An arbiter does it, at its start, under the directory's lock: what serves a ledger is what rebuilds it. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/data_dir.h"
#include "common/exit_status.h"
#include "common/log_reader.h"
#include "common/report.h"
#include "common/rfc3339.h"
#include "server/offline_ledger.h"

/* A directory without a log would become a new ledger. */
static int check_log(const char *dir)
{
    struct segment_list list;
    int error = segment_list_read(dir, &list);
    if (error)
        report_usage_error("cannot list %s/" DATA_DIR_LOG ": %s", dir, strerror(error));
    else if (list.count == 0)
        report_usage_error("there is no ledger in %s: no segments in %s/" DATA_DIR_LOG, dir, dir);
    bool there = error == 0 && list.count > 0;
    segment_list_free(&list);
    return there ? 0 : EINVAL;
}

static void print_result(const char *dir, const struct index_meta *meta, uint64_t took_ns)
{
    char head[2 * SHA256_SIZE + 1];
    sha256_format(&meta->chain, head);
    printf("reindex: %s: %" PRIu64 " events, head %s at position %" PRIu64 ", %.1f s\n", dir, meta->event_count, head,
           meta->position, (double)took_ns / 1e9);
}

static int reindex(const struct settings *settings)
{
    struct offline_ledger *ledger;
    struct index_meta meta;
    uint64_t begin = clock_monotonic_ns();
    int error = offline_ledger_open(settings, INDEX_REBUILD, &ledger);
    if (error)
        return error; /* the arbiter has said why */
    error = offline_ledger_meta(ledger, &meta);
    if (error == ENOENT) /* a log without any event */
        meta = (struct index_meta){.position = 0};
    if (error && error != ENOENT)
        report_usage_error("cannot read the new index: %s", strerror(error));
    int closed = offline_ledger_close(&ledger);
    if ((error && error != ENOENT) || closed)
        return EIO;
    print_result(settings->data_dir, &meta, clock_monotonic_ns() - begin);
    return 0;
}

int reindex_command(const struct arguments *arguments)
{
    struct settings settings;
    settings_default(&settings);
    settings.log_snapshot_every = 0;
    free(settings.data_dir);
    settings.data_dir = strdup(arguments->operand);
    if (!settings.data_dir)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    fflush(stdout);
    report_set_process("reindex");
    int error = check_log(settings.data_dir);
    if (error == 0)
        error = reindex(&settings);
    settings_free(&settings);
    return error ? EXIT_STATUS_FAILED : EXIT_STATUS_OK;
}
