#include "tests/bench/ledger.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/rfc3339.h"
#include "tests/bench/event_feed.h"
#include "tests/bench/say.h"
#include "tests/bench/sources.h"

#define FEED_TIMEOUT_S 30

/* Asks; any other status than the expected one is said. */
static int insist(const struct target *target, const char *path, const char *body, int expected, struct text *answer)
{
    int status = 0, error = target_ask(target, path, body, &status, answer);
    if (!error && status != expected) {
        say("%s %s%s was answered %d: %.200s", body ? "POST" : "GET", target->url, path, status, answer->base);
        free(answer->base);
        error = EACCES;
    }
    return error;
}

static int insist_on_nothing(const struct target *target, const char *path, const char *body)
{
    struct text answer;
    int error = insist(target, path, body, 204, &answer);
    if (!error)
        free(answer.base);
    return error;
}

/* --- accounts --- */

static bool has_account(const struct ledger *l, uint32_t book, uint32_t account)
{
    char path[128];
    struct text answer;
    int status = 0;
    snprintf(path, sizeof path, "/v1/books/bench-%05u/accounts/a%07u/balance", book, account);
    if (target_ask(l->engine->target, path, NULL, &status, &answer) != 0)
        return false;
    free(answer.base);
    return status == 200;
}

/* Opens them all, unless the first and the last one are there: an earlier run has made them. */
static int open_accounts(struct ledger *l, uint32_t connections)
{
    uint64_t count = (uint64_t)l->books * l->accounts;
    if (has_account(l, 0, 0) && has_account(l, l->books - 1, l->accounts - 1))
        return 0;
    struct phase phase = {.source = &source_accounts, .connections = connections, .goal = count};
    struct tally tally;
    tally_open(&tally);
    l->engine->context = l;
    int error = engine_run(l->engine, &phase, &tally);
    if (!error && tally.answers[204] != count) {
        say("of %" PRIu64 " accounts %" PRIu64 " could be opened: %s", count, tally.answers[204], l->engine->fault);
        error = EIO;
    }
    tally_close(&tally);
    return error;
}

/* --- marks --- */

static int post_mark(const struct ledger *l, uint32_t book, enum plan_mark mark, uint64_t *seq)
{
    char draft[DRAFT_ROOM_BYTES];
    struct text answer;
    struct posted posted;
    draft_write_json(&l->engine->plan, plan_mark_id(book, mark), draft);
    int error = insist(l->engine->target, "/v1/transactions", draft, 200, &answer);
    if (error)
        return error;
    const char *cursor = answer.base;
    if (!posted_next(&cursor, answer.base + answer.length, &posted) || posted.seq == 0) {
        say("a post was answered with no seq: %.200s", answer.base);
        error = EPROTO;
    }
    free(answer.base);
    *seq = posted.seq;
    return error;
}

/* EBADMSG: it does not balance, said. */
static int read_trial_balance(const struct ledger *l, uint32_t book, struct trial_balance *out)
{
    char path[128], fault[FAULT_MAX];
    struct text answer;
    snprintf(path, sizeof path, "/v1/books/bench-%05u/trial-balance", book);
    int error = insist(l->engine->target, path, NULL, 200, &answer);
    if (error)
        return error;
    if (!trial_balance_read(answer.base, out, fault)) {
        say("book bench-%05u: %s", book, fault);
        error = EBADMSG;
    }
    free(answer.base);
    return error;
}

int ledger_prepare(struct ledger *l, struct engine *engine, uint32_t books, uint32_t accounts, uint32_t connections)
{
    *l = (struct ledger){.engine = engine, .books = books, .accounts = accounts};
    l->ends = need(books, sizeof *l->ends);
    int error = insist_on_nothing(engine->target, "/v1/assets",
                                  "{\"id\":\"" PLAN_ASSET "\",\"class\":\"fiat\",\"precision\":2,"
                                  "\"name\":\"" PLAN_ASSET "\"}");
    error = error ? error : open_accounts(l, connections);
    for (uint32_t i = 0; i < books && !error; i++) {
        error = post_mark(l, i, PLAN_MARK_BEFORE, &l->ends[i].first_seq);
        l->ends[i].head_seq = l->ends[i].first_seq;
        error = error ? error : read_trial_balance(l, i, &l->ends[i].before);
        error = error ? error : interrupted ? EINTR : 0;
    }
    return error;
}

void ledger_free(struct ledger *l)
{
    free(l->ends);
    free(l->samples);
    *l = (struct ledger){0};
}

/* --- depth --- */

void ledger_find_heads(struct ledger *l)
{
    const struct engine *e = l->engine;
    struct planned_draft d;
    for (unsigned thread = 0; thread < e->threads; thread++)
        for (uint64_t i = 0; i < e->outcomes[thread].count; i++) {
            uint32_t seq = e->outcomes[thread].values[i];
            plan_draft(&e->plan, plan_first_id(thread) + i, &d);
            if (seq <= OUTCOME_SEQ_MAX && seq > l->ends[d.book].head_seq)
                l->ends[d.book].head_seq = seq;
        }
}

int ledger_deepen(struct ledger *l, uint64_t events, uint32_t connections)
{
    uint64_t missing = 0;
    for (uint32_t i = 0; i < l->books; i++)
        if (l->ends[i].first_seq < events && events - l->ends[i].first_seq > missing)
            missing = events - l->ends[i].first_seq;
    struct phase phase = {.source = &source_fill, .connections = connections, .goal = missing * l->books};
    struct tally tally;
    if (missing == 0)
        return 0;
    tally_open(&tally);
    int error = engine_run(l->engine, &phase, &tally);
    tally_close(&tally);
    ledger_find_heads(l);
    return error;
}

struct sampling {
    struct samples *samples;
    uint64_t end_seq;
    uint32_t wanted;
};

static bool take_sample(void *context, const char *data, size_t length)
{
    struct sampling *s = context;
    struct event_facts event;
    if (!event_facts_read(data, length, &event))
        return false;
    if (piece_is(event.kind, "transaction_posted") && event.tx_id.length == TX_ID_LEN)
        memcpy(s->samples->tx_ids[s->samples->count++], event.tx_id.base, TX_ID_LEN);
    return s->samples->count < s->wanted && event.seq < s->end_seq;
}

/* The time of the first event that comes. */
static bool take_time(void *context, const char *data, size_t length)
{
    int64_t *at_us = context;
    struct event_facts event;
    struct timestamp at;
    if (event_facts_read(data, length, &event) && rfc3339_parse(bytes_of(event.at.base, event.at.length), &at) == 0)
        *at_us = timestamp_floor_us(at);
    return false;
}

/* Reads events behind a seq until `take` has enough. 0 or errno. */
static int read_events(struct ledger *l, uint32_t book, uint64_t from,
                       bool (*take)(void *context, const char *data, size_t length), void *context)
{
    struct event_feed feed;
    int error = event_feed_open(&feed, l->engine->target, book, from, FEED_TIMEOUT_S);
    while (!error)
        error = event_feed_read(&feed, take, context);
    event_feed_close(&feed);
    return error == ECANCELED ? 0 : error;
}

static int sample_book(struct ledger *l, uint32_t book, uint64_t events)
{
    uint64_t last = l->ends[book].head_seq, from = last > events ? last - events : 0;
    struct samples *samples = &l->samples[book];
    int error = read_events(l, book, from, take_sample, &(struct sampling){samples, last, SAMPLES_MAX});
    if (!error)
        error = read_events(l, book, from, take_time, &samples->from_us);
    if (!error)
        error = read_events(l, book, from + (last - from) / 10, take_time, &samples->to_us);
    if (!error && samples->count > 0 && samples->from_us > 0 && samples->to_us >= samples->from_us)
        return 0;
    say("book bench-%05u: its events cannot be read: %s", book, strerror(error ? error : EBADMSG));
    return EIO;
}

int ledger_sample(struct ledger *l, uint64_t events)
{
    int error = 0;
    l->samples = need(l->books, sizeof *l->samples);
    for (uint32_t i = 0; i < l->books && !error; i++)
        error = sample_book(l, i, events);
    return error;
}

/* --- the proof --- */

struct reading {
    const struct proof *proof;
    struct book_proof *book;
};

static bool take_event(void *context, const char *data, size_t length)
{
    struct reading *r = context;
    return proof_take_text(r->proof, r->book, data, length) && !r->book->is_over && !interrupted;
}

/* Goes on where it was when the stream ends, as a server that leaves asks for. */
static int read_book(const struct ledger *l, const struct proof *proof, struct book_proof *book)
{
    struct reading reading = {proof, book};
    struct event_feed feed;
    int error = ECONNRESET;
    for (uint64_t before = UINT64_MAX; error == ECONNRESET && before != book->last_seq;) {
        before = book->last_seq;
        error = event_feed_open(&feed, l->engine->target, book->book, book->last_seq, FEED_TIMEOUT_S);
        while (!error)
            error = event_feed_read(&feed, take_event, &reading);
        event_feed_close(&feed);
    }
    if (book->fault[0] || interrupted)
        return interrupted ? EINTR : EBADMSG;
    if (error == ECANCELED)
        return 0;
    snprintf(book->fault, FAULT_MAX, "book bench-%05u: its events end at seq %" PRIu64 ", not at %" PRIu64 ": %s",
             book->book, book->last_seq, book->end_seq, strerror(error));
    return EBADMSG;
}

static int read_books(const struct ledger *l, const struct proof *proof, struct book_proof *books)
{
    for (uint32_t i = 0; i < l->books; i++) {
        int error = read_book(l, proof, &books[i]);
        if (error) {
            if (error == EBADMSG)
                say("wrong: %s", books[i].fault);
            return error;
        }
    }
    return 0;
}

static int check_sums(const struct ledger *l, struct book_proof *book, sum_t unmet)
{
    struct trial_balance after;
    int error = read_trial_balance(l, book->book, &after);
    if (!error && !proof_sums_agree(book, &l->ends[book->book].before, &after, unmet)) {
        say("wrong: %s", book->fault);
        error = EBADMSG;
    }
    return error;
}

static int check_all_sums(const struct ledger *l, const struct proof *proof, struct book_proof *books)
{
    char fault[FAULT_MAX];
    int error = 0;
    sum_t *unmet = need(l->books, sizeof *unmet);
    if (!proof_nothing_is_missing(proof, unmet, fault)) {
        say("wrong: %s", fault);
        error = EBADMSG;
    }
    for (uint32_t i = 0; i < l->books && !error; i++)
        error = check_sums(l, &books[i], unmet[i]);
    free(unmet);
    return error;
}

int ledger_verify(struct ledger *l, struct verified *verified)
{
    struct engine *e = l->engine;
    const struct proof proof = {.plan = e->plan, .outcomes = e->outcomes, .threads = e->threads};
    struct book_proof *books = need(l->books, sizeof *books);
    int error = 0;
    for (uint32_t i = 0; i < l->books && !error; i++) {
        books[i] = (struct book_proof){.book = i, .last_seq = l->ends[i].first_seq};
        error = post_mark(l, i, PLAN_MARK_AFTER, &books[i].end_seq);
    }
    error = error ? error : read_books(l, &proof, books);
    error = error ? error : check_all_sums(l, &proof, books);
    for (uint32_t i = 0; i < l->books; i++) {
        verified->keys += books[i].keys;
        verified->events += books[i].events;
    }
    free(books);
    return error;
}
