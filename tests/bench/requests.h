#ifndef TALEA_BENCH_REQUESTS_H
#define TALEA_BENCH_REQUESTS_H
/*
 * Requests, written over forms that were made once: of a post only the names,
 * the amounts and the key differ, and each has one length.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/bench/plan.h"
#include "tests/bench/target.h"

#define GET_ROOM_BYTES (TOKEN_MAX + 1024)

/* A post of so many drafts; one that is no batch also has references and metadata. */
struct post_form {
    char *text;
    size_t length, first, stride; /* where the first draft begins, and how far it is to the next */
    uint32_t drafts;
    bool has_metadata;
};

/* Ends the program when there is no memory. `drafts` 0: a single post. */
void post_form_make(struct post_form *form, const struct target *target, uint32_t drafts);
void post_form_free(struct post_form *form);

/* Drafts id, id + 1, ...; `out` has room for form->length. */
void post_form_write(const struct post_form *form, const struct plan *plan, uint64_t id, char *out);

/* One draft alone, as JSON and with a NUL: what a mark is posted with. */
#define DRAFT_ROOM_BYTES 400
void draft_write_json(const struct plan *plan, uint64_t id, char out[static DRAFT_ROOM_BYTES]);

/* A whole request in `out`, which has GET_ROOM_BYTES. Returns its length. */
size_t get_write(const struct target *target, char *out, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
size_t account_write(const struct target *target, char *out, uint32_t book, uint32_t account);

#endif
