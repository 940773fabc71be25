#include "tests/bench/sources.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/decimal.h"
#include "common/rfc3339.h"
#include "tests/bench/ledger.h"
#include "tests/bench/say.h"

#define PAGE_SIZE 100
#define PAGES_IN_A_ROW 10
#define TELL_EVERY_NS UINT64_C(2000000000)

static bool is_shed(int status)
{
    return status == 429 || status == 503 || status == 408;
}

static void note_answer(struct worker *w, const struct connection *c, const char *what, const char *body, size_t length)
{
    engine_fault(w->engine, "%s was answered %d: %.*s", what, c->reader.status, length < 200 ? (int)length : 200, body);
}

/* --- posts --- */

static bool write_posts(struct worker *w, struct connection *c, const struct post_form *form)
{
    struct outcomes *o = &w->engine->outcomes[w->number];
    if (o->count + form->drafts > OUTCOMES_MAX) {
        engine_fault(w->engine, "a thread has posted %" PRIu64 " drafts, and remembers no more; use more --threads",
                     o->count);
        return false;
    }
    c->first_id = plan_first_id(w->number) + o->count;
    c->drafts = form->drafts;
    c->is_repeat = false;
    c->out_length = form->length;
    o->count += form->drafts;
    post_form_write(form, &w->engine->plan, c->first_id, connection_room(c, form->length));
    return true;
}

/* What one draft came to. True: it was acknowledged. */
static bool take_posted(struct worker *w, const struct connection *c, uint32_t *outcome, const struct posted *p)
{
    if (c->is_repeat) {
        if (p->seq != *outcome || !p->deduplicated)
            engine_fault(w->engine, "a repeated key was answered seq %" PRIu64 "%s, and had seq %u", p->seq,
                         p->deduplicated ? "" : " as if it were new", *outcome);
        return p->deduplicated;
    }
    if (p->seq == 0 || p->seq > OUTCOME_SEQ_MAX) {
        *outcome = OUTCOME_REFUSED;
        return false;
    }
    if (p->deduplicated)
        engine_fault(w->engine, "a key that was new was answered as a repeat of seq %" PRIu64, p->seq);
    *outcome = (uint32_t)p->seq;
    return true;
}

static uint32_t take_slots(struct worker *w, struct connection *c, uint32_t *outcomes, const char *body,
                           size_t length)
{
    struct posted posted;
    const char *cursor = body;
    uint32_t taken = 0, slots = 0;
    while (slots < c->drafts && posted_next(&cursor, body + length, &posted)) {
        bool good = take_posted(w, c, &outcomes[slots++], &posted);
        taken += good;
        c->refused += !good && posted.is_overloaded;
        if (!good && !posted.is_overloaded)
            note_answer(w, c, "a draft", body, length);
    }
    if (slots < c->drafts)
        note_answer(w, c, "a post with too few slots", body, length);
    return taken;
}

/* Of a shed request only 429 says that nothing of it was taken. */
static uint32_t take_post(struct worker *w, struct connection *c, const char *body, size_t length)
{
    uint32_t *outcomes = &w->engine->outcomes[w->number].values[c->first_id & PLAN_COUNTER_MASK];
    int status = c->reader.status;
    if (status == 200)
        return take_slots(w, c, outcomes, body, length);
    if (!is_shed(status))
        note_answer(w, c, "a post", body, length);
    for (uint32_t i = 0; i < c->drafts && status != 503 && status != 408 && !c->is_repeat; i++)
        outcomes[i] = OUTCOME_REFUSED;
    return 0;
}

static bool next_post(struct worker *w, struct connection *c)
{
    return write_posts(w, c, &w->engine->single);
}

static bool next_batch(struct worker *w, struct connection *c)
{
    return write_posts(w, c, &w->engine->batch);
}

/* One of those that were acknowledged before; the goal is how many there are to choose from. */
static bool next_replay(struct worker *w, struct connection *c)
{
    const struct outcomes *o = &w->engine->outcomes[w->number];
    uint32_t at = worker_random(w, (uint32_t)o->count), looked = 0;
    while (looked < o->count && (o->values[at] == OUTCOME_UNKNOWN || o->values[at] == OUTCOME_REFUSED)) {
        at = (at + 1) % (uint32_t)o->count;
        looked++;
    }
    if (looked == o->count)
        return false;
    const struct post_form *form = &w->engine->single;
    c->first_id = plan_first_id(w->number) + at;
    c->drafts = 1;
    c->is_repeat = true;
    c->out_length = form->length;
    post_form_write(form, &w->engine->plan, c->first_id, connection_room(c, form->length));
    return true;
}

/* --- filling --- */

static void tell_progress(struct worker *w, const char *what)
{
    uint64_t now_ns = clock_monotonic_ns(), begun_ns = w->engine->begin_ns;
    if (w->number != 0 || now_ns < w->told_ns + TELL_EVERY_NS || w->done == 0)
        return;
    double spent_s = (double)(now_ns - begun_ns) / 1e9, part = (double)w->done / (double)w->goal;
    if (w->told_ns != 0)
        fprintf(stderr, "talea-bench: %s: %.0f %%, %.0f/s, about %.0f s left\n", what, part * 100,
                (double)w->done * w->engine->threads / spent_s, spent_s / part - spent_s);
    w->told_ns = now_ns;
}

static bool next_fill(struct worker *w, struct connection *c)
{
    if (w->made >= w->goal || !next_batch(w, c))
        return false;
    w->made += c->drafts; /* until they are answered otherwise */
    return true;
}

/* Drafts that were not taken are made up for with new ones. */
static uint32_t take_fill(struct worker *w, struct connection *c, const char *body, size_t length)
{
    uint32_t taken = take_post(w, c, body, length);
    if (taken < c->drafts && !atomic_load(&w->engine->has_fault)) {
        w->made -= c->drafts - taken;
        w->is_exhausted = false;
    }
    w->done += taken;
    tell_progress(w, "transactions");
    return taken;
}

/* --- accounts --- */

static bool next_account(struct worker *w, struct connection *c)
{
    const struct ledger *l = w->engine->context;
    if (!c->is_repeat) {
        if (w->made >= w->goal)
            return false;
        uint64_t number = w->made++ * w->engine->threads + w->number;
        c->book = (uint32_t)(number / l->accounts);
        c->account = (uint32_t)(number % l->accounts);
    }
    c->out_length = account_write(w->engine->target, connection_room(c, GET_ROOM_BYTES), c->book, c->account);
    return true;
}

static uint32_t take_account(struct worker *w, struct connection *c, const char *body, size_t length)
{
    c->is_repeat = is_shed(c->reader.status);
    if (c->is_repeat)
        w->is_exhausted = false;
    else if (c->reader.status != 204)
        note_answer(w, c, "the opening of an account", body, length);
    w->done += c->reader.status == 204;
    tell_progress(w, "accounts");
    return 0;
}

/* --- reads --- */

static uint32_t take_read(struct worker *w, struct connection *c, const char *body, size_t length)
{
    if (c->reader.status != 200 && !is_shed(c->reader.status))
        note_answer(w, c, "a read", body, length);
    return 0;
}

#define ACCOUNT_PATH "/v1/books/bench-%05u/accounts/a%07u/"

static char *begin_read(struct worker *w, struct connection *c, uint32_t *book, uint32_t *account)
{
    const struct plan *plan = &w->engine->plan;
    *book = worker_random(w, plan->books);
    *account = worker_random(w, plan->accounts);
    c->drafts = 0;
    return connection_room(c, GET_ROOM_BYTES);
}

static bool next_balance(struct worker *w, struct connection *c)
{
    uint32_t book, account;
    char *out = begin_read(w, c, &book, &account);
    c->out_length = get_write(w->engine->target, out, ACCOUNT_PATH "balance", book, account);
    return true;
}

static bool next_as_of(struct worker *w, struct connection *c)
{
    const struct ledger *l = w->engine->context;
    uint32_t book, account;
    char *out = begin_read(w, c, &book, &account), at[RFC3339_TEXT_MAX + 1];
    const struct samples *s = &l->samples[book];
    u128 span = (u128)(s->to_us - s->from_us), part = worker_random(w, UINT32_MAX);
    int64_t at_us = s->from_us + (int64_t)(span * part / UINT32_MAX);
    at[rfc3339_format_us(at_us, at)] = '\0';
    c->out_length = get_write(w->engine->target, out, ACCOUNT_PATH "balance?as_of=%s", book, account, at);
    return true;
}

/* Goes on where the last page ended, for some pages. */
static bool next_history(struct worker *w, struct connection *c)
{
    uint32_t book, account;
    char *out = begin_read(w, c, &book, &account);
    if (c->cursor == 0 || c->pages >= PAGES_IN_A_ROW) {
        c->book = book;
        c->account = account;
        c->cursor = c->pages = 0;
    }
    c->pages++;
    c->out_length = get_write(w->engine->target, out, ACCOUNT_PATH "history?limit=%d&after_seq=%" PRIu64, c->book,
                              c->account, PAGE_SIZE, c->cursor);
    return true;
}

static uint32_t take_history(struct worker *w, struct connection *c, const char *body, size_t length)
{
    c->cursor = c->reader.status == 200 ? page_next(body, length) : 0;
    return take_read(w, c, body, length);
}

static bool next_transaction(struct worker *w, struct connection *c)
{
    const struct ledger *l = w->engine->context;
    uint32_t book, account;
    char *out = begin_read(w, c, &book, &account);
    const struct samples *s = &l->samples[book];
    c->out_length = get_write(w->engine->target, out, "/v1/transactions/%s", s->tx_ids[worker_random(w, s->count)]);
    return true;
}

static bool next_trial_balance(struct worker *w, struct connection *c)
{
    uint32_t book, account;
    char *out = begin_read(w, c, &book, &account);
    c->out_length = get_write(w->engine->target, out, "/v1/books/bench-%05u/trial-balance", book);
    return true;
}

/* Of ten reads six are balances, and one is of each other kind. */
static bool next_read(struct worker *w, struct connection *c)
{
    static bool (*const kinds[])(struct worker *, struct connection *) = {next_as_of, next_history, next_transaction,
                                                                          next_trial_balance};
    uint32_t kind = worker_random(w, 10);
    return kind < 4 ? kinds[kind](w, c) : next_balance(w, c);
}

static bool next_mixed(struct worker *w, struct connection *c)
{
    return worker_random(w, 5) == 0 ? next_post(w, c) : next_read(w, c);
}

static uint32_t take_mixed(struct worker *w, struct connection *c, const char *body, size_t length)
{
    return c->drafts > 0 ? take_post(w, c, body, length) : take_read(w, c, body, length);
}

static bool next_empty(struct worker *w, struct connection *c)
{
    c->drafts = 0;
    c->out_length = get_write(w->engine->target, connection_room(c, GET_ROOM_BYTES), "%s",
                              (const char *)w->engine->context);
    return true;
}

const struct source source_accounts = {next_account, take_account};
const struct source source_fill = {next_fill, take_fill};
const struct source source_post = {next_post, take_post};
const struct source source_batch = {next_batch, take_post};
const struct source source_replay = {next_replay, take_post};
const struct source source_balance = {next_balance, take_read};
const struct source source_as_of = {next_as_of, take_read};
const struct source source_history = {next_history, take_history};
const struct source source_read = {next_read, take_read};
const struct source source_mixed = {next_mixed, take_mixed};
const struct source source_empty = {next_empty, take_read};
