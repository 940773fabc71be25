#ifndef TALEA_BENCH_ANSWER_H
#define TALEA_BENCH_ANSWER_H
/*
 * Reads HTTP answers as they come, in place, with picohttpparser out of
 * libh2o; then finds what counts in their bodies without parsing them: this is
 * the hot path of the program.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The members are phr_chunked_decoder's of h2o 2.2.5, which is not installed as a header. */
struct chunk_decoder {
    size_t bytes_left_in_chunk;
    char consume_trailer;
    char hex_count;
    char state;
};

/* Zeroes are its first state. */
struct answer_reader {
    int status;
    bool has_head, is_chunked, closes;
    size_t head_length, body_length; /* body: announced, or decoded so far */
    struct chunk_decoder decoder;
};

enum answer_state { ANSWER_BROKEN = -1, ANSWER_GOES_ON, ANSWER_COMPLETE };

/*
 * Reads on in a buffer that holds all of the answer so far; chunks are decoded
 * in place, and *length shrinks by what they were framed with. Complete: the
 * body is at base + head_length. One answer at a time: what lies behind it is
 * a fault, as is an answer that neither has a length nor is chunked.
 */
enum answer_state answer_read(struct answer_reader *reader, char *base, size_t *length)
    __attribute__((warn_unused_result));

/* Reads the head alone, for a stream. */
enum answer_state answer_read_head(struct answer_reader *reader, const char *base, size_t length)
    __attribute__((warn_unused_result));

/* Decodes n octets in place; *n becomes what they hold. -1: broken, -2: goes on, else the stream has ended. */
ssize_t answer_decode_chunks(struct chunk_decoder *decoder, char *base, size_t *n);

/* What a post came to, as one answer or one slot of a batch's says it. */
struct posted {
    uint64_t seq; /* 0: not posted */
    bool deduplicated, is_overloaded;
    const char *at, *tx_id; /* within the body, or NULL; not ended */
};

/*
 * The next object in [*cursor, end), which moves behind it: once for an
 * answer, once for each slot of a batch's. False: there is none.
 */
bool posted_next(const char **cursor, const char *end, struct posted *out);

/* The number behind "next": at the end of a page; 0: null. */
uint64_t page_next(const char *body, size_t length);

#endif
