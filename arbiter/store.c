#include "arbiter/store.h"

/*
 * An accepted draft changes the working set at once (so the group's later
 * drafts see it), adds rows to the index changes, and its event to the
 * payload. store_write puts both into the index in one transaction, with the
 * log's end in the meta row; store_commit commits it.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arbiter/idempotency.h"
#include "arbiter/index_changes.h"
#include "arbiter/index_writer.h"
#include "arbiter/working_set.h"
#include "common/data_dir.h"
#include "common/event.h"
#include "common/exit_status.h"
#include "common/index_state.h"
#include "common/ledger.h"
#include "common/posting_rows.h"
#include "common/report.h"

/*
 * While replaying. LMDB takes 131,071 dirty pages in one transaction; the more rows meet in a leaf, the faster it is.
 */
#define REPLAY_COMMIT_PAGES 100000
#define INDEX_PAGE_BYTES 4096

struct store {
    char *index_path;
    struct uuid ledger;
    struct index_writer *index;
    struct working_set *set;
    struct index_changes *changes;
    struct idempotency *idempotency;
    struct arena *draft; /* memory of one draft's judgement */
    struct buffer payload;
    struct buffer posted; /* what one transaction did to its accounts */
    uint64_t payload_position; /* where the payload's first byte will lie in the log */
    uint32_t event_count;
    struct log_mark settled; /* end of the last committed batch */
    uint64_t settled_keys;   /* number of idempotency keys by then */
    struct index_meta settled_meta;
    struct log_mark written; /* end of the batch whose rows are in the open transaction */
    uint64_t written_keys;
    struct index_meta written_meta;
    const struct event *replayed; /* while replaying: the event that is decided again */
    uint64_t replayed_at;         /* position of its batch */
    uint64_t spilled_at_open;     /* every key before it was spilled when the replay began */
    struct log_mark replayed_to;  /* behind the last replayed batch; position 0: none */
};

/* --- opening --- */

static int check_index(struct store *s)
{
    const struct index_meta *meta = working_set_meta(s->set);
    return meta->position == 0 ? 0 : index_meta_check(meta, s->ledger);
}

static struct log_mark index_mark(struct store *s)
{
    const struct index_meta *meta = working_set_meta(s->set);
    return (struct log_mark){meta->position, meta->next_batch, meta->chain, meta->ledger};
}

int store_open(const char *data_dir, struct uuid ledger, uint64_t idem_hot_cap, struct store **out, bool *has_mark,
               struct log_mark *mark)
{
    struct store *s = calloc(1, sizeof *s);
    struct log_mark keys_mark;
    bool keys_have_mark = false;
    if (!s)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    s->ledger = ledger;
    s->index_path = data_dir_path(data_dir, DATA_DIR_INDEX);
    s->draft = arena_create();
    s->changes = index_changes_create();
    int error = index_writer_open(s->index_path, &s->index);
    if (error == 0)
        error = index_state_write_open(s->index_path, ledger);
    if (error == 0) {
        s->set = working_set_create(s->index);
        error = check_index(s);
    }
    if (error == 0)
        error = idempotency_open(data_dir, ledger, idem_hot_cap, &s->idempotency, &keys_have_mark, &keys_mark);
    if (error) {
        store_close(&s);
        return error;
    }
    s->spilled_at_open = idempotency_spilled_position(s->idempotency);
    *mark = s->settled = index_mark(s);
    s->settled_meta = *working_set_meta(s->set);
    *has_mark = mark->position > 0 && keys_have_mark;
    if (*has_mark && keys_mark.position < mark->position)
        *mark = keys_mark;
    *out = s;
    return 0;
}

void store_close(struct store **store)
{
    struct store *s = *store;
    if (!s)
        return;
    idempotency_close(&s->idempotency);
    working_set_destroy(&s->set);
    index_changes_destroy(&s->changes);
    index_writer_close(&s->index);
    arena_destroy(&s->draft);
    buffer_free(&s->payload);
    buffer_free(&s->posted);
    free(s->index_path);
    free(s);
    *store = NULL;
}

uint64_t store_index_position(struct store *s)
{
    return working_set_meta(s->set)->position;
}

uint64_t store_keys_position(struct store *s)
{
    return s->spilled_at_open;
}

/* --- deciding --- */

static const struct bytes nothing;

int store_reserve(struct store *s, uint32_t draft_count, uint64_t posting_count, uint64_t definition_bytes)
{
    /* A draft: an event, a transaction or a definition with its number, a book; a posting: a block, account, sum. */
    return index_writer_reserve(s->index, 5 * (uint64_t)draft_count + 3 * posting_count, definition_bytes);
}

void store_begin(struct store *s, uint64_t batch_position)
{
    assert(s->event_count == 0);
    buffer_clear(&s->payload);
    s->payload_position = batch_position + BATCH_HEADER_BYTES;
}

/* The next event of the book: seq without a gap, a time that never goes back. A replayed one must be just that. */
static void next_event(struct store *s, struct book_entry *entry, int64_t now_us, struct event *event)
{
    const struct book_row *book = book_entry_row(entry);
    event->seq = book->last_seq + 1;
    event->at_us = now_us > book->last_at_us ? now_us : book->last_at_us;
    if (s->replayed) {
        event->tx_id = s->replayed->tx_id;
    } else if (event->kind == EVENT_TRANSACTION_POSTED) {
        event->tx_id = uuid7_make(event->at_us);
    }
}

/* `posted` is behind its row in the index. */
static void append_event(struct store *s, struct book_entry *entry, const struct event *event, struct bytes posted)
{
    struct book_row *book = book_entry_row(entry);
    size_t begin = s->payload.len;
    event_pack(&s->payload, event);
    size_t length = s->payload.len - begin;
    struct event_row row = {
        .at_us = event->at_us,
        .position = s->payload_position + begin,
        .length = (uint32_t)length,
        .crc = crc32c(0, s->payload.base + begin, length),
    };
    index_changes_event(s->changes, book->book_no, event->seq, &row, posted);
    book->last_seq = event->seq;
    book->last_at_us = event->at_us;
    working_set_meta(s->set)->event_count++;
    s->event_count++;
}

struct account_search {
    struct store *store;
    struct book_entry *book;
};

static struct ledger_account *find_account(void *context, struct bytes book, struct bytes path)
{
    struct account_search *search = context;
    (void)book; /* all postings of a draft are in its book, which was found before */
    if (!search->book)
        return NULL;
    struct account_entry *account = working_set_find_account(search->store->set, search->book, path);
    return account ? account_entry_rules(account) : NULL;
}

/* What the draft does to each account that it touches, with the postings there in draft order. */
static void post_to_accounts(struct store *s, struct book_entry *book, const struct draft *draft,
                             struct ledger_account **accounts, const struct event *event)
{
    uint8_t *entries = arena_alloc(s->draft, (size_t)draft->posting_count * POSTING_ENTRY_BYTES);
    struct posted_account *posted = arena_alloc(s->draft, draft->posting_count * sizeof *posted);
    uint32_t *counts = arena_alloc(s->draft, draft->posting_count * sizeof *counts);
    uint32_t *offsets = arena_alloc(s->draft, draft->posting_count * sizeof *offsets);
    uint32_t account_count = 0;
    memset(counts, 0, draft->posting_count * sizeof *counts);
    for (uint32_t i = 0; i < draft->posting_count; i++)
        counts[accounts[i]->first_posting]++;
    for (uint32_t i = 0, offset = 0; i < draft->posting_count; offset += counts[i++])
        offsets[i] = offset;
    for (uint32_t i = 0; i < draft->posting_count; i++)
        posting_entry_put(entries, offsets[accounts[i]->first_posting]++, &draft->postings[i]);
    for (uint32_t i = 0; i < draft->posting_count; i++) {
        if (counts[i] == 0)
            continue;
        struct account_entry *account = account_entry_of_rules(accounts[i]);
        posted[account_count++] = (struct posted_account){
            .debits = accounts[i]->next_debits,
            .credits = accounts[i]->next_credits,
            .account_no = account_entry_row(account)->account_no,
            .posting_count = counts[i],
            .first_entry = offsets[i] - counts[i],
        };
        working_set_apply(s->set, account, book, event->seq, s->changes);
    }
    buffer_clear(&s->posted);
    posted_append(&s->posted, event->tx_id, posted, account_count, entries, draft->posting_count);
}

/* `digest` is NULL when the key is spilled already. */
static void accept_post(struct store *s, const struct draft *draft, struct bytes packed, int64_t now_us,
                        const struct sha256 *digest, struct ledger_account **accounts, struct verdict *out)
{
    struct book_entry *book = working_set_book(s->set, draft->book);
    struct event event = {.kind = EVENT_TRANSACTION_POSTED, .book = draft->book, .body = packed};
    next_event(s, book, now_us, &event);
    post_to_accounts(s, book, draft, accounts, &event);
    append_event(s, book, &event, buffer_bytes(&s->posted));
    index_changes_transaction(s->changes, event.tx_id, book_entry_row(book)->book_no, event.seq);
    struct key_value value = {event.seq, event.at_us, event.tx_id};
    if (digest)
        idempotency_add(s->idempotency, digest, &value);
    out->seq = event.seq;
    out->at_us = event.at_us;
    out->tx_id = event.tx_id;
}

static void malformed(struct verdict *out)
{
    *out = (struct verdict){.code = VERDICT_INTERNAL};
}

void store_decide_post(struct store *s, struct bytes book, struct bytes packed, int64_t now_us, struct verdict *out)
{
    struct draft draft;
    struct key_value before;
    arena_reset(s->draft);
    if (draft_unpack_body(packed, s->draft, &draft) != 0) {
        malformed(out);
        return;
    }
    draft.book = book;
    ledger_check_draft(&draft, s->draft, out);
    if (out->code != VERDICT_POSTED)
        return;
    /* Replayed, and its key spilled before the index was lost: it would be found, as its own. */
    bool spilled = s->replayed && s->replayed_at < s->spilled_at_open;
    struct sha256 digest = {{0}};
    if (!spilled)
        digest = idempotency_digest(book, draft.idempotency_key);
    if (!spilled && idempotency_find(s->idempotency, &digest, &before)) {
        out->seq = before.seq;
        out->at_us = before.at_us;
        out->tx_id = before.tx_id;
        out->deduplicated = 1;
        return;
    }
    struct account_search search = {s, working_set_find_book(s->set, book)};
    struct ledger_view view = {&search, find_account};
    struct ledger_account **accounts = arena_alloc(s->draft, draft.posting_count * sizeof *accounts);
    ledger_judge(&draft, &view, accounts, out);
    if (out->code == VERDICT_POSTED)
        accept_post(s, &draft, packed, now_us, spilled ? NULL : &digest, accounts, out);
}

void store_decide_asset(struct store *s, struct bytes packed, int64_t now_us, struct verdict *out)
{
    struct asset_definition asset;
    if (asset_definition_unpack(packed, &asset) != 0) {
        malformed(out);
        return;
    }
    ledger_check_asset(&asset, out);
    if (out->code != VERDICT_DONE)
        return;
    uint32_t known = working_set_find_asset(s->set, asset.id);
    if (known) {
        /* Packing is canonical, so equal definitions have equal bytes. */
        if (!bytes_equal(working_set_asset(s->set, known), packed))
            out->code = VERDICT_ALREADY_EXISTS;
        return;
    }
    struct book_entry *book = working_set_book(s->set, LEDGER_SYSTEM_BOOK);
    struct event event = {.kind = EVENT_ASSET_REGISTERED, .book = LEDGER_SYSTEM_BOOK, .body = packed};
    next_event(s, book, now_us, &event);
    append_event(s, book, &event, nothing);
    working_set_new_asset(s->set, asset.id, packed);
}

static bool same_account(const struct account_row *row, const struct account_definition *account, uint32_t asset_no)
{
    return row->asset_no == asset_no && row->kind == account->kind && row->normal_side == account->normal_side &&
           row->has_min_balance == account->has_min_balance && row->min_balance == account->min_balance;
}

void store_decide_account(struct store *s, struct bytes book_name, struct bytes packed, int64_t now_us,
                          struct verdict *out)
{
    struct account_definition account;
    if (account_definition_unpack(packed, &account) != 0) {
        malformed(out);
        return;
    }
    account.book = book_name;
    ledger_check_account(&account, out);
    if (out->code != VERDICT_DONE)
        return;
    uint32_t asset_no = working_set_find_asset(s->set, account.asset);
    if (asset_no == 0) {
        out->code = VERDICT_UNKNOWN_ASSET;
        return;
    }
    struct book_entry *book = working_set_find_book(s->set, book_name);
    struct account_entry *known = book ? working_set_find_account(s->set, book, account.path) : NULL;
    if (known) {
        if (!same_account(account_entry_row(known), &account, asset_no))
            out->code = VERDICT_ALREADY_EXISTS;
        return;
    }
    book = working_set_book(s->set, book_name);
    struct event event = {.kind = EVENT_ACCOUNT_OPENED, .book = book_name, .body = packed};
    next_event(s, book, now_us, &event);
    append_event(s, book, &event, nothing);
    working_set_new_account(s->set, book, &account, asset_no);
}

struct bytes store_payload(const struct store *s)
{
    return buffer_bytes(&s->payload);
}

uint32_t store_event_count(const struct store *s)
{
    return s->event_count;
}

/* --- committing --- */

static void weigh(const struct store *s, uint64_t *puts, uint64_t *bytes)
{
    uint64_t more_puts, more_bytes;
    working_set_weigh(s->set, puts, bytes);
    index_changes_weigh(s->changes, &more_puts, &more_bytes);
    *puts += more_puts;
    *bytes += more_bytes;
}

/* At worst: each row its leaf, and the half that a split adds; long rows the pages that they fill, twice as well. */
static uint64_t pages_to_dirty(const struct store *s)
{
    uint64_t puts, bytes;
    weigh(s, &puts, &bytes);
    return 2 * (puts + bytes / INDEX_PAGE_BYTES);
}

static int write_rows(struct store *s)
{
    uint64_t puts, bytes;
    weigh(s, &puts, &bytes);
    int error = index_writer_begin(s->index, puts, bytes);
    if (error)
        return error;
    error = working_set_write(s->set);
    if (error == 0)
        error = index_changes_write(s->changes, s->index);
    if (error)
        index_writer_abort(s->index);
    return error;
}

int store_write(struct store *s, const struct log_mark *after)
{
    struct index_meta *meta = working_set_meta(s->set);
    meta->version = INDEX_VERSION;
    meta->position = after->position;
    meta->next_batch = after->next_batch;
    meta->chain = after->chain;
    meta->ledger = s->ledger;
    int error = write_rows(s);
    if (error)
        return error;
    working_set_settled(s->set);
    index_changes_clear(s->changes);
    s->event_count = 0;
    s->written = *after;
    s->written_keys = idempotency_key_count(s->idempotency);
    s->written_meta = *meta;
    return 0;
}

int store_commit(struct store *s)
{
    int error = index_writer_commit(s->index);
    if (error)
        return error;
    s->settled = s->written;
    s->settled_keys = s->written_keys;
    s->settled_meta = s->written_meta;
    index_writer_write_behind(s->index);
    return 0;
}

int store_maintain(struct store *s)
{
    return idempotency_settle(s->idempotency, &s->settled, s->settled_keys);
}

int store_seal(struct store *s)
{
    int error = index_writer_sync(s->index);
    return error ? error : index_state_write_clean(s->index_path, s->ledger, store_index_position(s),
                                                    index_writer_used_bytes(s->index));
}

bool store_spills(const struct store *s)
{
    return idempotency_spills(s->idempotency);
}

void store_clear_dead_readers(struct store *s)
{
    index_writer_clear_dead_readers(s->index);
}

void store_read_figures(struct store *s, struct store_figures *out)
{
    const struct index_meta *meta = &s->settled_meta;
    *out = (struct store_figures){
        .books = meta->book_count,
        .accounts = meta->account_count,
        .events = meta->event_count,
        .hot_keys = idempotency_hot_count(s->idempotency),
        .spilled_keys = idempotency_spilled_count(s->idempotency),
    };
}

/* --- replaying --- */

static int refuse_event(const struct event *event, const struct batch_header *header, const char *why)
{
    report(REPORT_ERROR,
           "the log breaks the ledger's rules: event seq %" PRIu64 " in the batch at position %" PRIu64
           " %s; the files were altered or mixed: restore them from a backup",
           event->seq, header->position, why);
    return EUCLEAN;
}

static void decide_again(struct store *s, const struct event *event, struct verdict *verdict)
{
    switch (event->kind) {
    case EVENT_TRANSACTION_POSTED:
        store_decide_post(s, event->book, event->body, event->at_us, verdict);
        return;
    case EVENT_ASSET_REGISTERED:
        store_decide_asset(s, event->body, event->at_us, verdict);
        return;
    case EVENT_ACCOUNT_OPENED:
        store_decide_account(s, event->book, event->body, event->at_us, verdict);
        return;
    }
}

/* An event that the index holds already: only its idempotency key may be missing from the spilled ones. */
static int replay_key(struct store *s, const struct event *event, const struct batch_header *header)
{
    struct draft draft;
    struct key_value value = {event->seq, event->at_us, event->tx_id}, known;
    if (event->kind != EVENT_TRANSACTION_POSTED || header->position < s->spilled_at_open)
        return 0;
    arena_reset(s->draft);
    if (draft_unpack_body(event->body, s->draft, &draft) != 0)
        return refuse_event(event, header, "is malformed");
    struct sha256 digest = idempotency_digest(event->book, draft.idempotency_key);
    if (idempotency_find(s->idempotency, &digest, &known))
        return refuse_event(event, header, "has the idempotency key of an earlier one");
    idempotency_add(s->idempotency, &digest, &value);
    return 0;
}

/* The index lacks this event: it is decided again, and must come out as it stands in the log, byte for byte. */
static int replay_event(struct store *s, const struct event *event, struct bytes packed,
                        const struct batch_header *header)
{
    struct verdict verdict = {0};
    uint32_t before = s->event_count;
    size_t begin = s->payload.len;
    s->replayed = event;
    s->replayed_at = header->position;
    decide_again(s, event, &verdict);
    s->replayed = NULL;
    if (s->event_count != before + 1)
        return refuse_event(event, header, "is one that the ledger would have refused");
    if (!bytes_equal(packed, bytes_of(s->payload.base + begin, s->payload.len - begin)))
        return refuse_event(event, header, "does not follow the one before it in its book");
    return 0;
}

/*
 * A batch proves that those before it are durable; it may itself be in the page
 * cache alone. Keys that were spilled with it would witness a batch that a
 * crash of the machine can still take back.
 */
static void settle_keys_before(struct store *s, const struct log_mark *after)
{
    uint64_t keys = idempotency_key_count(s->idempotency);
    int error = s->replayed_to.position ? idempotency_settle(s->idempotency, &s->replayed_to, keys) : 0;
    if (error)
        report(REPORT_WARNING, "cannot spill idempotency keys: %s; they stay in memory until it succeeds",
               strerror(error));
    s->replayed_to = *after;
}

int store_replay_batch(struct store *s, const struct batch_header *header, struct bytes payload,
                       const struct log_mark *after)
{
    bool in_index = header->position < s->settled.position;
    uint32_t count = 0;
    settle_keys_before(s, after);
    if (header->event_count == 0)
        return 0;
    if (!in_index)
        s->payload_position = header->position + BATCH_HEADER_BYTES - s->payload.len;
    for (struct bytes rest = payload; rest.len > 0; count++) {
        struct event event;
        size_t length;
        if (event_unpack(rest, &event, &length) != 0)
            return refuse_event(&(struct event){.seq = 0}, header, "is malformed");
        int error = in_index ? replay_key(s, &event, header)
                             : replay_event(s, &event, bytes_of(rest.base, length), header);
        if (error)
            return error;
        rest.base += length;
        rest.len -= length;
    }
    if (count != header->event_count)
        return refuse_event(&(struct event){.seq = 0}, header, "count does not match");
    if (in_index)
        return 0;
    s->settled = *after;
    return pages_to_dirty(s) < REPLAY_COMMIT_PAGES ? 0 : store_replay_end(s);
}

int store_replay_end(struct store *s)
{
    struct log_mark after = s->settled;
    bool adds = s->event_count > 0;
    int error = adds ? store_write(s, &after) : 0;
    if (adds && error == 0)
        error = store_commit(s);
    s->settled_keys = idempotency_key_count(s->idempotency);
    buffer_clear(&s->payload);
    if (error)
        report(REPORT_ERROR, "cannot rebuild the index: %s", strerror(error));
    return error;
}
