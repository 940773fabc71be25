#ifndef TALEA_SERVER_LOG_TOUR_H
#define TALEA_SERVER_LOG_TOUR_H
/*
 * Going through a ledger's log from a place to its end, every batch proved and
 * every segment seen to continue the one before: for talead verify, dump and
 * backup, offline or beside a running server. Changes nothing, takes no lock.
 */
#include "common/log_scan.h"
#include "common/progress.h"

#define FAULT_MAX 1024

/* One line that says what is wrong, where, and what to do. */
struct fault {
    char text[FAULT_MAX];
};
/* Fills it in and returns EUCLEAN. */
int fault_set(struct fault *fault, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A batch as it is met, good by all that can be proved of it. What it points to is valid during the visit. */
struct tour_batch {
    const char *path; /* of its segment */
    const struct segment_header *segment;
    const struct batch_header *header;
    struct bytes payload;
    struct bytes whole;            /* from header to padding, as it lies in the file */
    const struct log_mark *before; /* the place where it stands */
    const struct log_mark *after;
};

struct log_tour {
    const char *data_dir;
    struct log_mark mark; /* where it is; position 0: the genesis */
    uint64_t segments, batches; /* that were gone through */
    uint64_t segment;           /* the last of them */
    uint64_t torn_bytes; /* behind the last batch: never acknowledged, the next start cuts them */
    struct fault *fault;
    int (*visit)(void *context, const struct tour_batch *batch); /* EUCLEAN with the fault set, or 0 */
    void *context;
};

/*
 * From tour->mark to log position `end` (known to be durable; the log must
 * reach it), or with UINT64_MAX to wherever the log ends. May be called again
 * to go on. 0, or EUCLEAN with the fault set.
 */
int log_tour_go(struct log_tour *tour, uint64_t end) __attribute__((warn_unused_result));

/* Whose log is it? 0, or EUCLEAN with the fault set. */
int log_tour_ledger(const char *data_dir, struct uuid *out, struct fault *fault) __attribute__((warn_unused_result));

/* Position behind the last segment's file, space that was written ahead included; 0 when it cannot be read. */
uint64_t log_tour_file_end(const char *data_dir);

/*
 * Up to where may it be read? When the directory is locked, to what the index
 * holds: only that is known to be durable. Else to the end: UINT64_MAX.
 * 0, or EUCLEAN with the fault set.
 */
int log_tour_find_end(const char *data_dir, uint64_t *end, struct fault *fault) __attribute__((warn_unused_result));

#endif
