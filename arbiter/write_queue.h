#ifndef TALEA_ARBITER_WRITE_QUEUE_H
#define TALEA_ARBITER_WRITE_QUEUE_H
/*
 * Drafts that wait for a group commit, one queue for each book. A request is
 * judged once, when it arrives: a book whose queue is full by then refuses all
 * of the request's drafts of that book, else it takes all of them, however
 * many. Within a book drafts are decided in the order they came.
 *
 * A submission is answered whole, when the last of its drafts has a verdict.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/message.h"

struct write_queue;

/* One request of one worker. Made by write_queue_add; released with submission_free once it is answered. */
struct submission {
    uint32_t worker;
    uint32_t worker_generation;
    enum submission_kind kind;
    uint64_t request_id;
    STAGE_TIMES_FIELD
    uint32_t count;
    uint32_t undecided; /* verdicts still missing */
    struct verdict *verdicts;
    struct buffer message; /* as copied from the ring; the drafts' slices point into it */
    struct submission *next; /* for the lists of whoever holds it */
};

struct queued_draft {
    struct submission *submission;
    uint32_t index;      /* within the submission */
    struct bytes book;
    struct bytes packed;
};

struct write_queue *write_queue_create(uint64_t depth);
void write_queue_destroy(struct write_queue **queue);

/*
 * Takes a message over (its memory too; the buffer is left empty). 0 with
 * *out, whose `undecided` may be 0 already when every book was full (answer
 * it); EBADMSG when the message is malformed beyond a request id.
 */
int write_queue_add(struct write_queue *queue, uint32_t worker, uint32_t worker_generation, struct buffer *message,
                    struct submission **out) __attribute__((warn_unused_result));
void submission_free(struct submission *submission);

uint64_t write_queue_count(const struct write_queue *queue); /* drafts */
uint64_t write_queue_books(const struct write_queue *queue);
/* Drafts in the longest queue of a book, and the book (the queue's, valid until the next call); 0: all are empty. */
uint64_t write_queue_deepest(const struct write_queue *queue, struct bytes *book);

/* Drafts that were taken. Zero-initialised it is empty; its owner frees `drafts`. */
struct draft_list {
    struct queued_draft *drafts;
    uint32_t count;
    uint32_t room;
};

/*
 * Takes the drafts of the next group into `out`, in place of what is there: up
 * to `per_book` of each book, books in turn, until `bytes_max` packed bytes or
 * all queues are through. The first draft always comes.
 */
void write_queue_take(struct write_queue *queue, uint64_t per_book, uint64_t bytes_max, struct draft_list *out);

#endif
