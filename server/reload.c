#include "server/reload.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <systemd/sd-daemon.h>

#include "common/exit_status.h"
#include "common/report.h"
#include "common/rfc3339.h"
#include "server/master_state.h"
#include "server/worker_set.h"

#define PERTURB_OCTET 0x5a

/* The token is in the environment only while the settings are read: the master's own copy outlives a reload. */
int load_settings(struct master *m, struct settings *settings, struct tokens **tokens, char *error, size_t error_size)
{
    if (m->token_of_environment && setenv("TALEA_API_TOKEN", m->token_of_environment, 1) != 0)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    /* What a library frees unwiped, such as libyaml's copy of a file, is overwritten as it is freed. */
    (void)mallopt(M_PERTURB, PERTURB_OCTET);
    int failed = settings_load(m->config_path, ".env", settings, error, error_size);
    if (m->token_of_environment) {
        char *value = getenv("TALEA_API_TOKEN");
        explicit_bzero(value, strlen(value));
        unsetenv("TALEA_API_TOKEN");
    }
    if (!failed) {
        failed = tokens_load(settings->api_token, settings->tokens_file, tokens, error, error_size);
        settings_forget_secrets(settings);
        if (failed)
            settings_free(settings);
    }
    (void)mallopt(M_PERTURB, 0);
    return failed ? EINVAL : 0;
}

void forget_environment_token(struct master *m)
{
    if (m->token_of_environment)
        explicit_bzero(m->token_of_environment, strlen(m->token_of_environment));
    free(m->token_of_environment);
    m->token_of_environment = NULL;
}

/* systemd pairs RELOADING with the time at which it began: sd_notify(3). */
static void tell_reloading(void)
{
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_monotonic_ns() / 1000);
}

static int refuse(const char *error, struct buffer *answer)
{
    report(REPORT_ERROR, "reload: %s; nothing is changed", error);
    buffer_printf(answer, "%s; nothing is changed\n", error);
    return EINVAL;
}

/* What only a restart takes keeps its value. Names what would be another. */
static void keep_fixed(struct settings *next, struct settings *now, struct buffer *answer)
{
    for (size_t i = 0; i < settings_table_count; i++) {
        const struct setting *row = &settings_table[i];
        if (row->reloadable || settings_equal(row, next, now))
            continue;
        settings_exchange(row, next, now);
        report(REPORT_WARNING, "reload: %s is changed, which takes a restart", row->env);
        buffer_printf(answer, "%s is changed, which takes a restart\n", row->env);
    }
}

int reload(struct master *m, struct buffer *answer)
{
    char error[512];
    struct settings next;
    struct tokens *tokens;
    if (m->state != MASTER_SERVING)
        return refuse("talead does not serve now, and reads its settings when it starts", answer);
    tell_reloading();
    int failed = load_settings(m, &next, &tokens, error, sizeof error);
    if (failed) {
        sd_notify(0, "READY=1");
        return refuse(error, answer);
    }
    keep_fixed(&next, &m->settings, answer);
    bool workers_changed = next.workers != m->settings.workers;
    settings_free(&m->settings);
    tokens_destroy(&m->tokens);
    m->settings = next;
    m->tokens = tokens;
    m->settings_version++;
    if (report_configure(&m->settings, error, sizeof error) != 0)
        report(REPORT_ERROR, "reload: %s", error);
    if (workers_changed) /* else the number that an operator set by hand stays */
        m->workers_wanted = (uint32_t)next.workers;
    worker_set_settle(m);
    sd_notify(0, "READY=1");
    report(REPORT_INFO, "reloaded: %u workers with the new settings take over", m->workers_wanted);
    buffer_printf(answer, "reloaded: %u workers with the new settings take over\n", m->workers_wanted);
    return 0;
}
