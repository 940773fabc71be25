#include "tests/bench/results.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <yajl/yajl_gen.h>

static const struct percentile {
    const char *name, *label;
    double percent;
} percentiles[] = {{"p50", "p50", 50}, {"p90", "p90", 90}, {"p99", "p99", 99}, {"p99_9", "p99.9", 99.9}};
#define PERCENTILES (sizeof percentiles / sizeof *percentiles)

static bool is_batched(const struct results *r)
{
    return r->options->scenario == SCENARIO_BATCH || r->options->scenario == SCENARIO_FILL;
}

static double per_s(const struct results *r, uint64_t count)
{
    return r->seconds > 0 ? (double)count / r->seconds : 0;
}

static double cpu_share(const struct results *r)
{
    return r->seconds > 0 ? r->cpu_s / r->seconds : 0;
}

/* --- text --- */

static void print_latencies(const char *what, const struct histogram *h)
{
    if (!h || histogram_count(h) == 0)
        return;
    printf("%-10s mean %.3f", what, histogram_mean_us(h) / 1000);
    for (size_t i = 0; i < PERCENTILES; i++)
        printf("  %s %.3f", percentiles[i].label, (double)histogram_percentile_us(h, percentiles[i].percent) / 1000);
    printf("  max %.3f ms\n", (double)histogram_max_us(h) / 1000);
}

static void print_answers(const struct results *r)
{
    const struct tally *t = &r->tally;
    printf("answers   ");
    for (int status = 0; status < STATUS_ROOM; status++)
        if (t->answers[status])
            printf(" %d: %" PRIu64, status, t->answers[status]);
    if (t->drafts_refused)
        printf("  drafts refused: %" PRIu64, t->drafts_refused);
    if (t->lost)
        printf("  lost: %" PRIu64, t->lost);
    if (t->unsent)
        printf("  due and not sent: %" PRIu64, t->unsent);
    putchar('\n');
}

static void print_text(const struct results *r)
{
    const struct options *o = r->options;
    const struct tally *t = &r->tally;
    printf("%s on %s: %u connections, ", o->name, r->url, o->connections);
    if (r->rate > 0)
        printf("%.0f requests/s offered, ", r->rate);
    printf("%.2f s\n", r->seconds);
    printf("rate       %.0f answers/s", per_s(r, t->in_time));
    if (t->drafts)
        printf(", %.0f drafts/s acknowledged", per_s(r, t->drafts));
    putchar('\n');
    print_latencies("latency", t->latency);
    print_latencies("refused", t->refused);
    print_latencies("events", r->delays);
    print_answers(r);
    printf("bench CPU  %.2f s, %.0f %% of a core\n", r->cpu_s, cpu_share(r) * 100);
    if (r->is_verified)
        printf("verified   %" PRIu64 " keys in %" PRIu64 " events: each acknowledged one once, the sums agree\n",
               r->verified.keys, r->verified.events);
    else
        printf("verified   no\n");
}

/* --- JSON --- */

static void name(yajl_gen g, const char *text)
{
    yajl_gen_string(g, (const unsigned char *)text, strlen(text));
}

static void number(yajl_gen g, const char *key, double value, int decimals)
{
    char text[64];
    int length = snprintf(text, sizeof text, "%.*f", decimals, value);
    name(g, key);
    yajl_gen_number(g, text, (size_t)length);
}

static void count(yajl_gen g, const char *key, uint64_t value)
{
    name(g, key);
    yajl_gen_integer(g, (long long)value);
}

static void latencies(yajl_gen g, const char *key, const struct histogram *h)
{
    name(g, key);
    if (!h || histogram_count(h) == 0) {
        yajl_gen_null(g);
        return;
    }
    yajl_gen_map_open(g);
    number(g, "mean", histogram_mean_us(h), 1);
    for (size_t i = 0; i < PERCENTILES; i++)
        count(g, percentiles[i].name, histogram_percentile_us(h, percentiles[i].percent));
    count(g, "max", histogram_max_us(h));
    yajl_gen_map_close(g);
}

static void write_asked(yajl_gen g, const struct results *r)
{
    const struct options *o = r->options;
    name(g, "scenario");
    name(g, o->name);
    name(g, "url");
    name(g, r->url);
    count(g, "connections", o->connections);
    count(g, "threads", o->threads);
    if (r->rate > 0) {
        number(g, "rate", r->rate, 1);
    } else {
        name(g, "rate");
        yajl_gen_null(g);
    }
    number(g, "seconds", r->seconds, 3);
    count(g, "books", o->books);
    count(g, "accounts", o->accounts);
    count(g, "batch", is_batched(r) ? o->batch : 1);
    count(g, "subscribers", o->scenario == SCENARIO_TAIL ? o->subscribers : 0);
}

static void write_counted(yajl_gen g, const struct results *r)
{
    const struct tally *t = &r->tally;
    char status[16];
    count(g, "requests", t->requests);
    name(g, "answers");
    yajl_gen_map_open(g);
    for (int i = 0; i < STATUS_ROOM; i++) {
        if (!t->answers[i])
            continue;
        snprintf(status, sizeof status, "%d", i);
        count(g, status, t->answers[i]);
    }
    yajl_gen_map_close(g);
    count(g, "lost", t->lost);
    count(g, "unsent", t->unsent);
    count(g, "drafts", t->drafts);
    count(g, "drafts_refused", t->drafts_refused);
    number(g, "per_s", per_s(r, t->in_time), 1);
    number(g, "drafts_per_s", per_s(r, t->drafts), 1);
    latencies(g, "latency_us", t->latency);
    latencies(g, "refused_latency_us", t->refused);
    latencies(g, "event_delay_us", r->delays);
    number(g, "bench_cpu_s", r->cpu_s, 3);
    number(g, "bench_cpu_share", cpu_share(r), 3);
}

static void write_verified(yajl_gen g, const struct results *r)
{
    name(g, "verified");
    if (!r->is_verified) {
        yajl_gen_null(g);
        return;
    }
    yajl_gen_map_open(g);
    count(g, "keys", r->verified.keys);
    count(g, "events", r->verified.events);
    yajl_gen_map_close(g);
}

static void print_json(const struct results *r)
{
    const unsigned char *text;
    size_t length;
    yajl_gen g = yajl_gen_alloc(NULL);
    yajl_gen_map_open(g);
    write_asked(g, r);
    write_counted(g, r);
    write_verified(g, r);
    yajl_gen_map_close(g);
    if (yajl_gen_get_buf(g, &text, &length) == yajl_gen_status_ok)
        printf("%.*s\n", (int)length, (const char *)text);
    yajl_gen_free(g);
}

void results_print(const struct results *r)
{
    if (r->options->json)
        print_json(r);
    else
        print_text(r);
}
