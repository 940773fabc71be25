/* The status for programs. Rates and shares have three or six decimals; a share of 1 is all of it. */
#include "common/uuid7.h"
#include "server/json_text.h"
#include "server/status.h"

static void text(struct json_text *j, const char *key, const char *value)
{
    json_key(j, key);
    json_cstring(j, value);
}

static void count(struct json_text *j, const char *key, uint64_t value)
{
    json_key(j, key);
    json_unsigned(j, value);
}

static void number(struct json_text *j, const char *key, double value, int decimals)
{
    json_key(j, key);
    json_number(j, value, decimals);
}

static void write_head(struct json_text *j, const struct ledger_head *head)
{
    char uuid[UUID_TEXT_LEN], chain[2 * SHA256_SIZE + 1];
    uuid_format(head->ledger, uuid);
    sha256_format(&head->chain, chain);
    json_field(j, "ledger", bytes_of(uuid, UUID_TEXT_LEN));
    count(j, "position", head->position);
    text(j, "chain", chain);
    count(j, "books", head->books);
    count(j, "accounts", head->accounts);
    count(j, "events", head->events);
}

static void write_arbiter(struct json_text *j, const struct status_view *v)
{
    json_key(j, "arbiter");
    json_open_object(j);
    count(j, "pid", (uint64_t)v->arbiter_pid);
    text(j, "state", v->arbiter_state);
    count(j, "age_seconds", v->arbiter_age_s);
    count(j, "recovery_percent", v->recovery_percent);
    count(j, "deaths", v->arbiter_deaths);
    text(j, "last_death", v->arbiter_last_death);
    count(j, "backoff_ms", v->arbiter_backoff_ms);
    number(j, "commits_per_second", v->commits_per_s, 3);
    number(j, "drafts_per_second", v->drafts_per_s, 3);
    number(j, "drafts_per_commit", v->drafts_per_commit, 3);
    number(j, "fdatasync_p50_seconds", v->sync_p50_s, 6);
    number(j, "fdatasync_p99_seconds", v->sync_p99_s, 6);
    number(j, "fdatasync_share", v->sync_share, 3);
    number(j, "deciding_share", v->decide_share, 3);
    number(j, "idle_share", v->idle_share, 3);
    json_close_object(j);
}

static void write_queue(struct json_text *j, const struct status_view *v)
{
    json_key(j, "queue");
    json_open_object(j);
    count(j, "drafts", v->queue_drafts);
    count(j, "books", v->queue_books);
    json_key(j, "deepest");
    if (v->head.deepest_drafts) {
        json_open_object(j);
        json_field(j, "book", v->deepest_book);
        count(j, "drafts", v->head.deepest_drafts);
        json_close_object(j);
    } else {
        json_null(j);
    }
    json_close_object(j);
}

static void write_worker(struct json_text *j, const struct worker_view *w)
{
    json_open_object(j);
    count(j, "number", w->number);
    count(j, "pid", (uint64_t)w->pid);
    text(j, "state", w->state);
    count(j, "age_seconds", w->age_s);
    count(j, "connections", w->connections);
    count(j, "in_flight", w->in_flight);
    count(j, "event_streams", w->event_streams);
    count(j, "ring_bytes", w->ring_bytes);
    number(j, "requests_per_second", w->requests_per_s, 3);
    number(j, "cpu_share", w->cpu_share, 3);
    count(j, "deaths", w->deaths);
    text(j, "last_death", w->last_death);
    json_close_object(j);
}

static void write_workers(struct json_text *j, const struct status_view *v)
{
    count(j, "workers_wanted", v->workers_wanted);
    json_key(j, "workers");
    json_open_array(j);
    for (uint32_t i = 0; i < v->worker_count; i++)
        write_worker(j, &v->worker[i]);
    json_close_array(j);
}

void status_write_json(struct buffer *out, const struct status_view *v)
{
    struct json_text *j = json_text_create(out);
    json_open_object(j);
    text(j, "version", PACKAGE_VERSION);
    text(j, "state", v->state);
    text(j, "directory", v->directory);
    count(j, "uptime_seconds", v->uptime_s);
    number(j, "window_seconds", v->window_s, 3);
    write_head(j, &v->head);
    write_arbiter(j, v);
    write_queue(j, v);
    write_workers(j, v);
    number(j, "requests_per_second", v->requests_per_s, 3);
    number(j, "machine_idle_share", v->machine_idle_share, 3);
    count(j, "cpus", v->cpus);
    text(j, "limit", status_limit_word(v->limit));
    text(j, "limit_sentence", v->limit_sentence);
    json_key(j, "more_workers_help");
    json_bool(j, v->more_workers_help);
    text(j, "advice", v->advice);
    json_close_object(j);
    json_text_destroy(&j);
    buffer_append_string(out, "\n");
}
