#include "arbiter/write_queue.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/exit_status.h"
#include "common/ledger.h"
#include "common/report.h"

#include <xxhash.h>

static uint64_t hash_seed;
#define HASH_FUNCTION(key, len, out) ((out) = (unsigned)XXH3_64bits_withSeed((key), (len), hash_seed))
#include <uthash.h>

struct waiting_draft {
    struct queued_draft draft;
    struct waiting_draft *next;
};

/* A book with drafts waiting; gone when they are taken. In a ring of books, so that they take turns. */
struct book_queue {
    struct waiting_draft *first, **last;
    uint64_t count;
    uint64_t judged_for; /* arrival number of the request that was judged last */
    bool full;           /* what that judgement said */
    struct book_queue *next, *previous;
    UT_hash_handle hh;
    size_t name_len;
    uint8_t name[];
};

struct write_queue {
    uint64_t depth;
    uint64_t arrivals;
    uint64_t count;
    struct book_queue *books;
    struct book_queue *turn; /* whose turn it is; NULL when all are empty */
    struct waiting_draft *spare;
};

static void *must(void *p)
{
    if (!p)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory in the write queue");
    return p;
}

struct write_queue *write_queue_create(uint64_t depth)
{
    struct write_queue *q = must(calloc(1, sizeof *q));
    random_fill(&hash_seed, sizeof hash_seed);
    q->depth = depth;
    return q;
}

void submission_free(struct submission *submission)
{
    buffer_free(&submission->message);
    free(submission->verdicts);
    free(submission);
}

static struct book_queue *add_book(struct write_queue *q, struct bytes name)
{
    struct book_queue *b = must(calloc(1, sizeof *b + name.len));
    b->last = &b->first;
    b->name_len = name.len;
    if (name.len)
        memcpy(b->name, name.base, name.len);
    HASH_ADD_KEYPTR(hh, q->books, b->name, b->name_len, b);
    if (q->turn) {
        b->next = q->turn;
        b->previous = q->turn->previous;
        b->previous->next = b->next->previous = b;
    } else {
        q->turn = b->next = b->previous = b;
    }
    return b;
}

static void remove_book(struct write_queue *q, struct book_queue *b)
{
    HASH_DELETE(hh, q->books, b);
    if (b->next == b) {
        q->turn = NULL;
    } else {
        b->previous->next = b->next;
        b->next->previous = b->previous;
        if (q->turn == b)
            q->turn = b->next;
    }
    free(b);
}

/* The book's queue, with its judgement of the present request; NULL: refused. */
static struct book_queue *admit(struct write_queue *q, struct bytes name)
{
    struct book_queue *b;
    HASH_FIND(hh, q->books, name.base, name.len, b);
    if (!b)
        b = add_book(q, name);
    if (b->judged_for != q->arrivals) {
        b->judged_for = q->arrivals;
        b->full = b->count >= q->depth;
    }
    return b->full ? NULL : b;
}

static void enqueue(struct write_queue *q, struct book_queue *b, const struct queued_draft *draft)
{
    struct waiting_draft *w = q->spare;
    if (w)
        q->spare = w->next;
    else
        w = must(malloc(sizeof *w));
    w->draft = *draft;
    w->next = NULL;
    *b->last = w;
    b->last = &w->next;
    b->count++;
    q->count++;
}

/* Splits the message into its drafts, without reading what is in them. */
static int read_drafts(struct submission *s, struct bytes rest, struct queued_draft *drafts)
{
    for (uint32_t i = 0; i < s->count; i++) {
        drafts[i] = (struct queued_draft){.submission = s, .index = i, .book = LEDGER_SYSTEM_BOOK, .packed = rest};
        if (s->kind == SUBMISSION_ASSET)
            return s->count == 1 ? 0 : EBADMSG;
        int error = submission_read_booked(&rest, &drafts[i].book, &drafts[i].packed);
        if (error)
            return error;
    }
    return rest.len == 0 ? 0 : EBADMSG;
}

static int read_message(struct submission *s, struct queued_draft **drafts)
{
    struct submission_head head;
    struct bytes rest;
    *drafts = NULL;
    int error = submission_read_head(buffer_bytes(&s->message), &head, &rest);
    if (error)
        return error;
    /* A book and a body take two bytes at least: a count beyond that is a lie, and memory is not spent on it. */
    if (head.count == 0 || head.count > rest.len || (head.kind != SUBMISSION_POST && head.count != 1))
        return EBADMSG;
    s->kind = head.kind;
    s->request_id = head.request_id;
    STAGE_COPY(s->stages, head.stages);
    s->count = head.count;
    s->verdicts = must(calloc(s->count, sizeof *s->verdicts));
    *drafts = must(calloc(s->count, sizeof **drafts));
    return read_drafts(s, rest, *drafts);
}

int write_queue_add(struct write_queue *q, uint32_t worker, uint32_t worker_generation, struct buffer *message,
                    struct submission **out)
{
    struct queued_draft *drafts;
    struct submission *s = must(calloc(1, sizeof *s));
    s->worker = worker;
    s->worker_generation = worker_generation;
    s->message = *message;
    *message = (struct buffer){0};
    int error = read_message(s, &drafts);
    if (error) {
        free(drafts);
        submission_free(s);
        return error;
    }
    q->arrivals++;
    for (uint32_t i = 0; i < s->count; i++) {
        struct book_queue *book = admit(q, drafts[i].book);
        if (book) {
            enqueue(q, book, &drafts[i]);
            s->undecided++;
        } else {
            s->verdicts[i].code = VERDICT_OVERLOADED;
        }
    }
    free(drafts);
    *out = s;
    return 0;
}

uint64_t write_queue_count(const struct write_queue *q)
{
    return q->count;
}

uint64_t write_queue_books(const struct write_queue *q)
{
    return HASH_COUNT(q->books);
}

uint64_t write_queue_deepest(const struct write_queue *q, struct bytes *book)
{
    const struct book_queue *b = q->turn;
    uint64_t deepest = 0;
    for (uint64_t n = HASH_COUNT(q->books); n > 0; n--, b = b->next)
        if (b->count > deepest) {
            deepest = b->count;
            *book = bytes_of(b->name, b->name_len);
        }
    return deepest;
}

static void take_one(struct write_queue *q, struct book_queue *b, struct draft_list *out, uint64_t *bytes)
{
    struct waiting_draft *w = b->first;
    if (out->count == out->room) {
        out->room = out->room ? out->room * 2 : 256;
        out->drafts = must(realloc(out->drafts, out->room * sizeof *out->drafts));
    }
    out->drafts[out->count++] = w->draft;
    *bytes += w->draft.packed.len + w->draft.book.len;
    b->first = w->next;
    if (!b->first)
        b->last = &b->first;
    b->count--;
    q->count--;
    w->next = q->spare;
    q->spare = w;
}

void write_queue_take(struct write_queue *q, uint64_t per_book, uint64_t bytes_max, struct draft_list *out)
{
    uint64_t bytes = 0;
    uint64_t books = HASH_COUNT(q->books);
    out->count = 0;
    for (; books > 0 && bytes < bytes_max; books--) {
        struct book_queue *b = q->turn;
        for (uint64_t n = 0; n < per_book && b->first && (out->count == 0 || bytes < bytes_max); n++)
            take_one(q, b, out, &bytes);
        q->turn = b->next;
        if (!b->first)
            remove_book(q, b);
    }
}

void write_queue_destroy(struct write_queue **queue)
{
    struct write_queue *q = *queue;
    if (!q)
        return;
    while (q->turn) {
        struct book_queue *b = q->turn;
        while (b->first) {
            struct waiting_draft *w = b->first;
            b->first = w->next;
            free(w);
        }
        remove_book(q, b);
    }
    while (q->spare) {
        struct waiting_draft *w = q->spare;
        q->spare = w->next;
        free(w);
    }
    free(q);
    *queue = NULL;
}
