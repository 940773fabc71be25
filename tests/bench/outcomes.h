#ifndef TALEA_BENCH_OUTCOMES_H
#define TALEA_BENCH_OUTCOMES_H
/*
 * What became of each draft of one thread: four bytes a draft, by its counter.
 * The thread alone writes while it posts; afterwards the proof does, where a
 * draft belongs to one reader only.
 */
#include <stdint.h>

#define OUTCOMES_MAX (UINT64_C(1) << 26) /* drafts of a thread */

/* Any other value is the seq under which the draft was acknowledged. */
#define OUTCOME_UNKNOWN 0u               /* sent, and never answered for certain */
#define OUTCOME_SEEN UINT32_MAX          /* the proof met its event, once */
#define OUTCOME_REFUSED (UINT32_MAX - 1) /* must not be in the ledger */
#define OUTCOME_SEQ_MAX (UINT32_MAX - 2)

struct outcomes {
    uint32_t *values;
    uint64_t count;
};

/* Memory is taken as it is used. Ends the program when there is none. */
void outcomes_open(struct outcomes *outcomes);
void outcomes_close(struct outcomes *outcomes);

#endif
