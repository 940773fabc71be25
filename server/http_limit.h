#ifndef TALEA_SERVER_HTTP_LIMIT_H
#define TALEA_SERVER_HTTP_LIMIT_H
/* What a client met that asked for too much, or took too long. The order is that of the metric's labels. */
enum http_limit {
    HTTP_LIMIT_CONNECTIONS,   /* of a worker: 503 */
    HTTP_LIMIT_ADDRESS,       /* connections of an address: 503 */
    HTTP_LIMIT_DESCRIPTORS,   /* of the process: 503 */
    HTTP_LIMIT_HEAD_TIME,     /* 408 */
    HTTP_LIMIT_BODY_TIME,     /* 408 */
    HTTP_LIMIT_REQUEST_TIME,  /* 408 */
    HTTP_LIMIT_IDLE_TIME,     /* closed */
    HTTP_LIMIT_WRITE_TIME,    /* broken */
    HTTP_LIMIT_UNSENT,        /* broken */
    HTTP_LIMIT_EVENT_STREAMS, /* of a worker: 503 */
    HTTP_LIMIT_EVENTS_BEHIND, /* the stream ends */
    HTTP_LIMIT_COUNT,
};
#endif
