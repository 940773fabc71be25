#include "server/master_commands.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/exit_status.h"
#include "common/report.h"
#include "server/master_state.h"
#include "server/master_stop.h"
#include "server/reload.h"
#include "server/worker_set.h"

#define NUMBER_LENGTH_MAX 19

static int ping(struct master *m, const struct control_request *request, struct buffer *answer)
{
    (void)m, (void)request, (void)answer;
    return EXIT_STATUS_OK;
}

static int status(struct master *m, const struct control_request *request, struct buffer *answer)
{
    struct status_view view;
    status_view(m->status, m, &view);
    if (request->json)
        status_write_json(answer, &view);
    else
        status_write_text(answer, &view);
    return EXIT_STATUS_OK;
}

/* Digits alone, `+` or `-` in front allowed where `sign` is asked for. */
static bool parse_number(struct bytes word, char *sign, uint64_t *out)
{
    size_t at = 0;
    if (sign) {
        *sign = word.len && (word.base[0] == '+' || word.base[0] == '-') ? (char)word.base[0] : '\0';
        at = *sign != '\0';
    }
    if (at == word.len || word.len - at > NUMBER_LENGTH_MAX)
        return false;
    *out = 0;
    for (; at < word.len; at++) {
        if (word.base[at] < '0' || word.base[at] > '9')
            return false;
        *out = *out * 10 + (uint64_t)(word.base[at] - '0');
    }
    return true;
}

static int set_workers(struct master *m, struct bytes word, struct buffer *answer)
{
    char sign;
    uint64_t number, wanted;
    if (!parse_number(word, &sign, &number)) {
        buffer_printf(answer, "workers: a whole number is wanted, as 4, +1 or -1\n");
        return EXIT_STATUS_USAGE;
    }
    if (sign == '-')
        wanted = number < m->workers_wanted ? m->workers_wanted - number : 0;
    else
        wanted = number > WORKERS_MAX ? WORKERS_MAX + 1 : number + (sign == '+' ? m->workers_wanted : 0);
    if (wanted < 1 || wanted > WORKERS_MAX) {
        buffer_printf(answer, "workers: there may be 1 to %d; %u stay\n", WORKERS_MAX, m->workers_wanted);
        return EXIT_STATUS_FAILED;
    }
    if (m->state != MASTER_SERVING) {
        buffer_printf(answer, "workers: none serve, talead is %s\n",
                      m->state == MASTER_STARTING ? "starting" : "stopping");
        return EXIT_STATUS_FAILED;
    }
    report(REPORT_INFO, "%u workers are wanted, were %u", (unsigned)wanted, m->workers_wanted);
    m->workers_wanted = (uint32_t)wanted;
    worker_set_settle(m);
    buffer_printf(answer, "%u workers serve; %u leave as soon as their requests are answered\n", worker_set_serving(m),
                  worker_set_leaving(m));
    return EXIT_STATUS_OK;
}

static int workers(struct master *m, const struct control_request *request, struct buffer *answer)
{
    struct status_view view;
    if (request->count > 1) {
        int failed = set_workers(m, request->word[1], answer);
        if (failed || !request->json)
            return failed;
        buffer_clear(answer);
    }
    if (request->json)
        return status(m, request, answer);
    status_view(m->status, m, &view);
    status_write_workers_text(answer, &view);
    return EXIT_STATUS_OK;
}

static int advise(struct master *m, const struct control_request *request, struct buffer *answer)
{
    struct status_view view;
    if (request->json)
        return status(m, request, answer);
    status_view(m->status, m, &view);
    buffer_printf(answer, "%s\n", view.advice);
    return EXIT_STATUS_OK;
}

static int reload_settings(struct master *m, const struct control_request *request, struct buffer *answer)
{
    (void)request;
    return reload(m, answer) == 0 ? EXIT_STATUS_OK : EXIT_STATUS_FAILED;
}

static int stop(struct master *m, const struct control_request *request, struct buffer *answer)
{
    bool fast = control_word_is(request, 1, "fast");
    report(REPORT_INFO, "stopping: told to by talead stop%s", fast ? " --fast" : "");
    master_stop(m, fast);
    buffer_append_string(answer, "stopping\n");
    return EXIT_STATUS_OK;
}

static int order_snapshot(struct master *m, struct buffer *answer)
{
    if (atomic_load(&m->border->arbiter_state) != ARBITER_READY) {
        buffer_append_string(answer, "snapshot: the arbiter does not serve now; talead status says more\n");
        return EXIT_STATUS_FAILED;
    }
    struct ledger_head head;
    border_read_head(m->border, &head);
    if (head.events == 0) {
        buffer_append_string(answer, "snapshot: the ledger is empty, there is nothing to copy\n");
        return EXIT_STATUS_FAILED;
    }
    uint64_t order = atomic_fetch_add(&m->border->snapshots_wanted, 1) + 1;
    bell_ring_anyway(&m->border->arbiter_bell);
    buffer_printf(answer, "%" PRIu64 "\n", order);
    return EXIT_STATUS_OK;
}

static int snapshot(struct master *m, const struct control_request *request, struct buffer *answer)
{
    uint64_t order;
    if (request->count == 1)
        return order_snapshot(m, answer);
    if (!parse_number(request->word[1], NULL, &order))
        return EXIT_STATUS_USAGE;
    if (atomic_load(&m->border->snapshots_answered) < order)
        return STATUS_NOT_YET;
    if (atomic_load(&m->border->snapshot_failed)) {
        buffer_append_string(answer, "snapshot: it failed; the log says why\n");
        return EXIT_STATUS_FAILED;
    }
    return EXIT_STATUS_OK;
}

int master_command(void *context, const struct control_request *request, struct buffer *answer)
{
    static const struct {
        const char *name;
        int (*run)(struct master *m, const struct control_request *request, struct buffer *answer);
    } commands[] = {
        {"ping", ping},     {"status", status},          {"workers", workers},
        {"advise", advise}, {"reload", reload_settings}, {"stop", stop},
        {"snapshot", snapshot},
    };
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (control_word_is(request, 0, commands[i].name))
            return commands[i].run(context, request, answer);
    buffer_append_string(answer, "the running talead knows no such command: it is of another version\n");
    return EXIT_STATUS_FAILED;
}
