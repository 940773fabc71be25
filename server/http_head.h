#ifndef TALEA_SERVER_HTTP_HEAD_H
#define TALEA_SERVER_HTTP_HEAD_H
/*
 * A strict reader of a request's head, by RFC 9112 and RFC 9110: what two
 * parsers could read in two ways is a fault, also where a lenient one would go
 * on. Field names in any case, white space around values, octets from 0x80 in
 * targets and values, and one empty line before the request are none.
 *
 * Nothing is copied: slices point into the text.
 */
#include <stddef.h>
#include <stdint.h>

#include "common/bytes.h"
#include "server/http_fault.h"

#define HTTP_HEAD_MAX_BYTES 16384 /* with its last empty line */
#define HTTP_FIELDS_MAX 100
#define HTTP_TARGET_MAX_BYTES 8192

/* Its members are those of picohttpparser's phr_header, in their order (see http_guard.h). */
struct http_field {
    const char *name;
    size_t name_length;
    const char *value;
    size_t value_length;
};

struct http_head {
    struct bytes method, target; /* of a refused head: empty unless its first line is good */
    int minor_version;           /* 0 or 1 */
    size_t field_count;          /* of a refused head: those before the fault */
    struct http_field fields[HTTP_FIELDS_MAX];
};

/*
 * The head's length; 0: it goes on behind the text; -1: *fault says what is
 * wrong. Of the text, `seen` octets were there at an earlier call that said 0,
 * which are not looked at a second time until the head is whole. A body that
 * is announced to be larger than body_max is a fault of the head.
 */
int http_head_parse(const char *text, size_t length, size_t seen, uint64_t body_max, struct http_head *head,
                    enum http_fault *fault) __attribute__((warn_unused_result));

/* 0 to 15; -1: it is none. */
int http_hex_digit(uint8_t octet);

/* Is the octet one of a token (RFC 9110, 5.6.2)? */
int http_is_token_octet(uint8_t octet);

#endif
