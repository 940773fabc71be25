/* The status for people: short lines, numbers in units that are read at a glance. */
#include <inttypes.h>
#include <stdio.h>

#include "common/uuid7.h"
#include "server/status.h"

#define DAY_S 86400
#define HOUR_S 3600
#define TEXT_BYTES 32

static const char *duration(uint64_t seconds, char out[static TEXT_BYTES])
{
    if (seconds >= DAY_S)
        snprintf(out, TEXT_BYTES, "%" PRIu64 " d %" PRIu64 " h", seconds / DAY_S, seconds % DAY_S / HOUR_S);
    else if (seconds >= HOUR_S)
        snprintf(out, TEXT_BYTES, "%" PRIu64 " h %" PRIu64 " min", seconds / HOUR_S, seconds % HOUR_S / 60);
    else if (seconds >= 60)
        snprintf(out, TEXT_BYTES, "%" PRIu64 " min %" PRIu64 " s", seconds / 60, seconds % 60);
    else
        snprintf(out, TEXT_BYTES, "%" PRIu64 " s", seconds);
    return out;
}

static void write_printable(struct buffer *out, struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.base[i] < 0x20 || text.base[i] == 0x7f)
            buffer_printf(out, "\\x%02x", text.base[i]);
        else
            buffer_append(out, text.base + i, 1);
}

static void write_ledger(struct buffer *out, const struct status_view *v)
{
    char uuid[UUID_TEXT_LEN], chain[2 * SHA256_SIZE + 1], age[TEXT_BYTES];
    uuid_format(v->head.ledger, uuid);
    buffer_printf(out, "talead %s, %s for %s\n", PACKAGE_VERSION, v->state, duration(v->uptime_s, age));
    buffer_printf(out, "ledger     %.*s in %s\n", UUID_TEXT_LEN, uuid, v->directory);
    sha256_format(&v->head.chain, chain);
    buffer_printf(out, "head       position %" PRIu64 ", chain %s\n", v->head.position, chain);
    buffer_printf(out, "holds      %" PRIu64 " books, %" PRIu64 " accounts, %" PRIu64 " events\n", v->head.books,
                  v->head.accounts, v->head.events);
}

static void write_arbiter(struct buffer *out, const struct status_view *v)
{
    char age[TEXT_BYTES];
    buffer_printf(out, "arbiter    pid %d, %s", v->arbiter_pid, v->arbiter_state);
    if (v->arbiter_pid)
        buffer_printf(out, ", up %s", duration(v->arbiter_age_s, age));
    if (v->recovery_percent && v->recovery_percent < 100 && v->state[1] == 't')
        buffer_printf(out, ", %u %% recovered", v->recovery_percent);
    if (v->arbiter_deaths)
        buffer_printf(out, ", died %" PRIu64 " times, the last %s", v->arbiter_deaths, v->arbiter_last_death);
    if (v->arbiter_backoff_ms)
        buffer_printf(out, ", it keeps dying: %u ms before each start", v->arbiter_backoff_ms);
    buffer_printf(out, "\ncommits    %.0f/s, %.1f drafts each, fdatasync p50 %.2f ms, p99 %.2f ms\n", v->commits_per_s,
                  v->drafts_per_commit, 1e3 * v->sync_p50_s, 1e3 * v->sync_p99_s);
    buffer_printf(out, "its time   %.0f %% fdatasync, %.0f %% deciding, %.0f %% idle\n", 100 * v->sync_share,
                  100 * v->decide_share, 100 * v->idle_share);
    buffer_printf(out, "queue      %" PRIu64 " drafts of %" PRIu64 " books", v->queue_drafts, v->queue_books);
    if (v->head.deepest_drafts) {
        buffer_printf(out, "; deepest of late: %" PRIu64 " of ", v->head.deepest_drafts);
        write_printable(out, v->deepest_book);
        buffer_append_string(out, v->deepest_book.len < v->head.deepest_length ? "..." : "");
    }
    buffer_append_string(out, "\n");
}

void status_write_workers_text(struct buffer *out, const struct status_view *v)
{
    char age[TEXT_BYTES];
    buffer_printf(out, "workers    %u wanted, %.0f requests/s\n", v->workers_wanted, v->requests_per_s);
    buffer_append_string(out, "  no     pid  state    age          conns  in flight  streams  requests/s  ring bytes  CPU\n");
    for (uint32_t i = 0; i < v->worker_count; i++) {
        const struct worker_view *w = &v->worker[i];
        buffer_printf(out, "  %-4u %6d  %-8s %-12s %5u  %9u  %7u  %10.0f  %10" PRIu64 "  %3.0f%%", w->number, w->pid,
                      w->state, duration(w->age_s, age), w->connections, w->in_flight, w->event_streams,
                      w->requests_per_s, w->ring_bytes, 100 * w->cpu_share);
        if (w->deaths)
            buffer_printf(out, "  died %" PRIu64 " times, the last %s", w->deaths, w->last_death);
        buffer_append_string(out, "\n");
    }
}

void status_write_text(struct buffer *out, const struct status_view *v)
{
    write_ledger(out, v);
    write_arbiter(out, v);
    status_write_workers_text(out, v);
    buffer_printf(out, "limited by %s\n", v->limit_sentence);
}
