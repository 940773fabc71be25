#ifndef TALEA_SERVER_OFFLINE_LEDGER_H
#define TALEA_SERVER_OFFLINE_LEDGER_H
/*
 * The ledger without a server: starts an arbiter for its directory, speaks to
 * it over the ring of worker 0 as a worker would, stops it. For commands that
 * write to a ledger which nobody serves.
 */
#include "common/border.h"
#include "common/draft.h"
#include "common/index_schema.h"
#include "common/settings.h"
#include "common/verdict.h"

struct offline_ledger;

/*
 * 0 once the arbiter has recovered; EIO when it could not (it has said why in
 * one line). `settings` must outlive the ledger.
 */
int offline_ledger_open(const struct settings *settings, enum index_order order, struct offline_ledger **out)
    __attribute__((warn_unused_result));
/* What the index holds now. 0 or errno. */
int offline_ledger_meta(struct offline_ledger *ledger, struct index_meta *out) __attribute__((warn_unused_result));

/* 0; EIO when the arbiter did not end well. */
int offline_ledger_close(struct offline_ledger **ledger) __attribute__((warn_unused_result));

/* 0 with the verdict, or EIO when the arbiter died. */
int offline_ledger_register_asset(struct offline_ledger *ledger, const struct asset_definition *asset,
                                  struct verdict *out) __attribute__((warn_unused_result));
int offline_ledger_open_account(struct offline_ledger *ledger, const struct account_definition *account,
                                struct verdict *out) __attribute__((warn_unused_result));

/* Is an asset of this id registered? 0 or errno. */
int offline_ledger_has_asset(struct offline_ledger *ledger, struct bytes id, bool *has)
    __attribute__((warn_unused_result));

#endif
