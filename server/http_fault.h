#ifndef TALEA_SERVER_HTTP_FAULT_H
#define TALEA_SERVER_HTTP_FAULT_H
/*
 * What can be wrong with a request as HTTP, before anybody asks what it wants:
 * its framing (RFC 9112), or its size. Each has one answer, after which the
 * connection closes.
 */
enum http_fault {
    HTTP_FAULT_NONE,
    /* octets */
    HTTP_FAULT_BARE_LF,
    HTTP_FAULT_BARE_CR,
    HTTP_FAULT_CONTROL,
    /* the request line */
    HTTP_FAULT_REQUEST_LINE,
    HTTP_FAULT_METHOD,
    HTTP_FAULT_TARGET,
    HTTP_FAULT_TARGET_FORM,
    HTTP_FAULT_TARGET_LENGTH,
    HTTP_FAULT_VERSION,
    /* fields */
    HTTP_FAULT_HEAD_LENGTH,
    HTTP_FAULT_FIELD_COUNT,
    HTTP_FAULT_FOLDED,
    HTTP_FAULT_NO_COLON,
    HTTP_FAULT_NO_NAME,
    HTTP_FAULT_SPACE_BEFORE_COLON,
    HTTP_FAULT_NAME,
    HTTP_FAULT_NO_HOST,
    HTTP_FAULT_TWO_HOSTS,
    HTTP_FAULT_HOST,
    HTTP_FAULT_EXPECTATION,
    /* how long the body is */
    HTTP_FAULT_LENGTH,
    HTTP_FAULT_TWO_LENGTHS,
    HTTP_FAULT_LENGTH_AND_CODING,
    HTTP_FAULT_TWO_CODINGS,
    HTTP_FAULT_CODING,
    HTTP_FAULT_CODING_UNKNOWN,
    HTTP_FAULT_CODING_VERSION,
    HTTP_FAULT_BODY_LENGTH,
    /* chunks */
    HTTP_FAULT_CHUNK_SIZE,
    HTTP_FAULT_CHUNK_LINE,
    HTTP_FAULT_CHUNK_END,
    HTTP_FAULT_TRAILER,
    HTTP_FAULT_TRAILER_LENGTH,
    HTTP_FAULT_TRAILER_FIELD,
    HTTP_FAULT_COUNT,
};

/* Constant texts. */
struct http_fault_answer {
    int status;         /* 400, 417, 431, 501 or 505 */
    const char *field;  /* "head" or "body" */
    const char *reason; /* for people; no full stop */
};
const struct http_fault_answer *http_fault_answer(enum http_fault fault);

#endif
