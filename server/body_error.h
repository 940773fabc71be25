#ifndef TALEA_SERVER_BODY_ERROR_H
#define TALEA_SERVER_BODY_ERROR_H
/* Why a request body is refused: the `field` and `reason` of an invalid_draft answer. */

struct body_error {
    const char *field; /* "body", "class", "kind" */
    char reason[256];  /* names the place: "postings[1].amount.minor: expected an integer, at byte 120"; valid UTF-8 */
};

#endif
