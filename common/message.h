#ifndef TALEA_COMMON_MESSAGE_H
#define TALEA_COMMON_MESSAGE_H
/*
 * What travels over the rings. A submission (worker to arbiter) is this fixed
 * head and then, by kind:
 *   POST      `count` times: book (MessagePack str), packed draft body (draft.h)
 *   ASSET     one packed asset
 *   ACCOUNT   book (MessagePack str), one packed account
 * A completion (arbiter to worker) is its fixed head and `count` verdicts, in the order of the drafts.
 */
#include <stdint.h>

#include "common/draft.h"
#include "common/stage_times.h"
#include "common/verdict.h"

enum submission_kind { SUBMISSION_POST = 1, SUBMISSION_ASSET = 2, SUBMISSION_ACCOUNT = 3 };

struct submission_head {
    uint32_t kind;
    uint32_t count;
    uint64_t request_id;    /* the worker's own, never used twice within a worker's life */
    uint64_t arbiter_epoch; /* border.h; a submission of another epoch is dropped unanswered */
    STAGE_TIMES_FIELD
};
_Static_assert(sizeof(struct submission_head) == 24 + STAGE_TIMES_BYTES, "crosses the process border");

struct completion_head {
    uint64_t request_id;
    uint32_t count;
    uint32_t reserved;
    STAGE_TIMES_FIELD
};
_Static_assert(sizeof(struct completion_head) == 16 + STAGE_TIMES_BYTES, "crosses the process border");

#define SUBMISSION_MAX_BYTES ((3u << 20) + sizeof(struct submission_head))

/* Starts a submission in `out` (cleared first). */
void submission_begin(struct buffer *out, enum submission_kind kind, uint32_t count, uint64_t request_id,
                      uint64_t arbiter_epoch);
void submission_add_draft(struct buffer *out, const struct draft *draft);
void submission_add_asset(struct buffer *out, const struct asset_definition *asset);
void submission_add_account(struct buffer *out, const struct account_definition *account);

/* Reads a submission's parts one after another. `rest` begins behind the head. 0 or EBADMSG. */
int submission_read_head(struct bytes message, struct submission_head *head, struct bytes *rest)
    __attribute__((warn_unused_result));
/* A book and the packed value behind it (draft body or account), still packed; advances `rest`. */
int submission_read_booked(struct bytes *rest, struct bytes *book, struct bytes *packed)
    __attribute__((warn_unused_result));

#endif
