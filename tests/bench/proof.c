#include "tests/bench/proof.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <yajl/yajl_tree.h>

__attribute__((format(printf, 2, 3))) static bool fault(struct book_proof *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = snprintf(b->fault, FAULT_MAX, "book bench-%05u, seq %" PRIu64 ": ", b->book, b->last_seq);
    vsnprintf(b->fault + n, FAULT_MAX - (size_t)n, format, args);
    va_end(args);
    return false;
}

/* --- events --- */

static bool is_account(struct piece piece, uint32_t account)
{
    char name[PLAN_ACCOUNT_LEN];
    plan_write_account(name, account);
    return piece.length == sizeof name && memcmp(piece.base, name, sizeof name) == 0;
}

static bool is_posting(const struct posting_facts *p, const char *direction, uint32_t account, uint32_t minor)
{
    return piece_is(p->direction, direction) && piece_is(p->asset, PLAN_ASSET) && p->minor == minor &&
           is_account(p->account, account);
}

static bool is_as_sent(const struct proof *proof, const struct book_proof *b, uint64_t id,
                       const struct event_facts *event, uint32_t *minor)
{
    struct planned_draft d;
    plan_draft(&proof->plan, id, &d);
    *minor = d.minor;
    return d.book == b->book && event->posting_count == 2 &&
           is_posting(&event->postings[0], "debit", d.debit, d.minor) &&
           is_posting(&event->postings[1], "credit", d.credit, d.minor);
}

/* NULL: no such draft was sent. */
static uint32_t *outcome_of(const struct proof *proof, uint64_t id)
{
    unsigned thread = plan_thread_of(id);
    uint64_t counter = id & PLAN_COUNTER_MASK;
    if (thread >= proof->threads || counter >= proof->outcomes[thread].count)
        return NULL;
    return &proof->outcomes[thread].values[counter];
}

static bool take_mark(struct book_proof *b, uint64_t id, int key_length, const char *key)
{
    if (id != plan_mark_id(b->book, PLAN_MARK_AFTER) || b->last_seq != b->end_seq)
        return fault(b, "the mark %.*s is there, which belongs elsewhere", key_length, key);
    return true;
}

static bool take_outcome(struct book_proof *b, uint32_t *outcome, int key_length, const char *key)
{
    if (!outcome)
        return fault(b, "key %.*s is there, and was never sent", key_length, key);
    if (*outcome == OUTCOME_SEEN)
        return fault(b, "key %.*s is there twice", key_length, key);
    if (*outcome == OUTCOME_REFUSED)
        return fault(b, "key %.*s is there, and was refused", key_length, key);
    if (*outcome != OUTCOME_UNKNOWN && *outcome != b->last_seq)
        return fault(b, "key %.*s is there, and was acknowledged as seq %u", key_length, key, *outcome);
    *outcome = OUTCOME_SEEN;
    b->keys++;
    return true;
}

static bool take_own(const struct proof *proof, struct book_proof *b, uint64_t id, const struct event_facts *event)
{
    int key_length = (int)event->key.length;
    const char *key = event->key.base;
    uint32_t minor;
    bool good = plan_is_mark(id) ? take_mark(b, id, key_length, key)
                                 : take_outcome(b, outcome_of(proof, id), key_length, key);
    if (!good)
        return false;
    if (!is_as_sent(proof, b, id, event, &minor))
        return fault(b, "key %.*s is there with other postings than were sent", key_length, key);
    b->own_minor += minor;
    return true;
}

bool proof_take(const struct proof *proof, struct book_proof *b, const struct event_facts *event)
{
    uint64_t expected = b->last_seq + 1, id;
    if (event->seq != expected)
        return fault(b, "the next event has seq %" PRIu64, event->seq);
    b->last_seq = expected;
    b->events++;
    bool is_own = plan_read_key(&proof->plan, event->key.base, event->key.length, &id);
    if (is_own && !take_own(proof, b, id, event))
        return false;
    b->foreign += !is_own && piece_is(event->kind, "transaction_posted");
    b->is_over = b->last_seq >= b->end_seq;
    if (b->is_over && !(is_own && id == plan_mark_id(b->book, PLAN_MARK_AFTER)))
        return fault(b, "it is not the mark that was acknowledged there");
    return true;
}

bool proof_take_text(const struct proof *proof, struct book_proof *b, const char *data, size_t length)
{
    struct event_facts event;
    if (!event_facts_read(data, length, &event))
        return fault(b, "the next event is not JSON: %.60s", data);
    return proof_take(proof, b, &event);
}

/* --- what is missing --- */

static bool check_left(const struct proof *proof, uint64_t id, uint32_t outcome, sum_t *unmet,
                       char fault_text[static FAULT_MAX])
{
    struct planned_draft d;
    char key[PLAN_KEY_LEN];
    if (outcome == OUTCOME_SEEN || outcome == OUTCOME_REFUSED)
        return true;
    plan_draft(&proof->plan, id, &d);
    if (outcome == OUTCOME_UNKNOWN) {
        unmet[d.book] += d.minor;
        return true;
    }
    plan_write_key(key, &proof->plan, id);
    snprintf(fault_text, FAULT_MAX, "book bench-%05u: key %.*s was acknowledged as seq %u, and is not there", d.book,
             PLAN_KEY_LEN, key, outcome);
    return false;
}

bool proof_nothing_is_missing(const struct proof *proof, sum_t *unmet, char fault_text[static FAULT_MAX])
{
    for (unsigned thread = 0; thread < proof->threads; thread++)
        for (uint64_t i = 0; i < proof->outcomes[thread].count; i++)
            if (!check_left(proof, plan_first_id(thread) + i, proof->outcomes[thread].values[i], unmet, fault_text))
                return false;
    return true;
}

/* --- sums --- */

static sum_t member(yajl_val object, const char *name)
{
    const char *path[] = {name, NULL};
    yajl_val value = yajl_tree_get(object, path, yajl_t_number);
    sum_t n = 0;
    for (const char *p = value ? YAJL_GET_NUMBER(value) : ""; *p; p++)
        n = n * 10 + (sum_t)(*p - '0');
    return n;
}

static bool read_line(yajl_val line, struct trial_balance *out, char fault_text[static FAULT_MAX])
{
    const char *path[] = {"asset", NULL};
    const char *asset = YAJL_GET_STRING(yajl_tree_get(line, path, yajl_t_string));
    struct trial_balance read = {member(line, "debits"), member(line, "credits")};
    if (asset && strcmp(asset, PLAN_ASSET) == 0)
        *out = read;
    if (asset && read.debits == read.credits)
        return true;
    snprintf(fault_text, FAULT_MAX, "the trial balance's debits are not its credits (%.40s)", asset ? asset : "?");
    return false;
}

bool trial_balance_read(const char *text, struct trial_balance *out, char fault_text[static FAULT_MAX])
{
    const char *path[] = {"lines", NULL};
    yajl_val tree = yajl_tree_parse(text, NULL, 0), lines = tree ? yajl_tree_get(tree, path, yajl_t_array) : NULL;
    bool good = lines != NULL;
    *out = (struct trial_balance){0, 0};
    if (!good)
        snprintf(fault_text, FAULT_MAX, "a trial balance is none: %.60s", text);
    for (size_t i = 0; good && i < YAJL_GET_ARRAY(lines)->len; i++)
        good = read_line(YAJL_GET_ARRAY(lines)->values[i], out, fault_text);
    yajl_tree_free(tree);
    return good;
}

bool proof_sums_agree(struct book_proof *b, const struct trial_balance *before, const struct trial_balance *after,
                      sum_t unmet)
{
    sum_t least = before->debits + b->own_minor, most = least + unmet;
    if (after->debits >= least && (b->foreign > 0 || after->debits <= most))
        return true;
    return fault(b, "the trial balance went from %" PRIu64 " to %" PRIu64 ", and the events say %" PRIu64,
                 (uint64_t)before->debits, (uint64_t)after->debits, (uint64_t)least);
}
