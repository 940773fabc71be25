#ifndef TALEA_SERVER_HTTP_CHUNKS_H
#define TALEA_SERVER_HTTP_CHUNKS_H
/*
 * A strict reader of a chunked body (RFC 9112, 7.1), which may come in pieces
 * of any size. Extensions are skipped, within bounds; so are trailers, but for
 * those that would say how to read the message or whom it is for.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "server/http_fault.h"

#define HTTP_CHUNK_LINE_MAX 256     /* octets, of a chunk's size and its extensions */
#define HTTP_TRAILERS_MAX_BYTES 4096

/*
 * Zeroes are its first state. Lies where h2o keeps picohttpparser's
 * phr_chunked_decoder: its size is that one's, and consume_trailer, which h2o
 * sets and which nobody reads here, lies where that one has it.
 */
struct http_chunks {
    uint32_t left;  /* octets of the chunk that are still to come */
    uint32_t total; /* octets of all chunks announced so far */
    char consume_trailer;
    uint8_t state;
    uint8_t digits;   /* of the size that is being read */
    uint8_t suspects; /* bits: fields that this trailer's name may still become */
    uint16_t line;    /* octets of this line so far */
    uint16_t trailers; /* octets of all trailers so far */
};

/*
 * Decodes in place: data moves to the beginning of the text, what lies behind
 * the body comes after it; *length becomes that of the data. Returns how much
 * lies behind the body, -2: it goes on, -1: *fault says what is wrong. More
 * than body_max octets of data are a fault, told as soon as it is announced.
 */
ssize_t http_chunks_decode(struct http_chunks *chunks, char *text, size_t *length, uint32_t body_max,
                           enum http_fault *fault) __attribute__((warn_unused_result));

#endif
