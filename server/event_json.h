#ifndef TALEA_SERVER_EVENT_JSON_H
#define TALEA_SERVER_EVENT_JSON_H
/* One event as the JSON object that event streams send and talead dump prints. */
#include "common/arena.h"
#include "common/event.h"
#include "server/json_text.h"

/* 0; EBADMSG when its body is malformed: what was written then is of no use. `arena` is reset for scratch. */
int event_json(struct json_text *j, const struct event *event, struct arena *arena) __attribute__((warn_unused_result));

#endif
