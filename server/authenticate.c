#include "server/authenticate.h"

#include "common/report.h"
#include "common/rfc3339.h"
#include "server/answers.h"
#include "server/auth_limit.h"

static void tell_limit_reached(const struct peer_address *address, uint64_t limit)
{
    char text[PEER_ADDRESS_TEXT_MAX];
    peer_address_format(address, text);
    report(REPORT_WARNING, "%llu wrong tokens from %s within a minute: until it ends, none is looked at that was not "
                           "accepted from there before (TALEA_AUTH_FAILURES_PER_MINUTE)",
           (unsigned long long)limit, text);
}

static bool refuse_for_now(struct exchange *e, uint64_t now_ns)
{
    e->retry_after_s = auth_limit_wait_s(now_ns);
    exchange_answer(e, answer_overloaded(exchange_json(e), 429));
    return false;
}

static bool refuse(struct exchange *e)
{
    exchange_answer(e, answer_unauthorized(exchange_json(e)));
    return false;
}

/* Who sends no token guesses none: that is no failure which could go on for ever with success. */
static bool fail(struct exchange *e, bool has_token)
{
    uint64_t now_ns = clock_monotonic_ns(), limit = e->worker->settings->auth_failures_per_minute;
    struct peer_address address;
    counter_add(&e->worker->slot->counters.auth_failures, 1);
    if (!has_token || limit == 0)
        return refuse(e);
    http_peer(e->http, &address);
    switch (auth_limit_count(e->worker->border, &address, now_ns, limit)) {
    case AUTH_FAILURE_OVER_LIMIT:
        return refuse_for_now(e, now_ns);
    case AUTH_FAILURE_LAST:
        tell_limit_reached(&address, limit);
        break;
    case AUTH_FAILURE_COUNTED:
        break;
    }
    return refuse(e);
}

bool authenticate(struct exchange *e)
{
    struct worker *w = e->worker;
    uint64_t limit = w->settings->auth_failures_per_minute;
    struct bytes authorization = http_header(e->http, "authorization");
    struct peer_address address;
    const struct scope *scope = tokens_find(w->tokens, authorization);
    if (!scope)
        return fail(e, authorization.base != NULL);
    e->scope = scope;
    if (tokens_open_mode(w->tokens))
        return true;
    /* Also with no limit: what was accepted counts when a reload sets one. */
    http_peer(e->http, &address);
    uint64_t now_ns = clock_monotonic_ns();
    if (auth_limit_accepts(w->border, &address, now_ns, limit, scope_number(scope)))
        return true;
    e->scope = NULL; /* the log may tell its reader no more than the answer tells the client */
    counter_add(&w->slot->counters.auth_failures, 1);
    return refuse_for_now(e, now_ns);
}
