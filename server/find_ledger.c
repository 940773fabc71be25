#include "server/find_ledger.h"

#include <stdlib.h>

#include "common/exit_status.h"
#include "common/report.h"

static int read_db_url(const char *url, char **data_dir)
{
    char error[512];
    int failed = settings_parse_db_url(url, data_dir, error, sizeof error);
    if (failed)
        report_usage_error("invalid --db-url: %s", error);
    return failed;
}

int find_ledger_settings(const struct arguments *arguments, struct settings *out)
{
    char error[512], *data_dir = NULL;
    const char *url = argument(arguments, "--db-url");
    if (url) {
        int failed = read_db_url(url, &data_dir);
        free(data_dir);
        if (failed)
            return failed;
        /* It stands above every other source, as the environment does. */
        if (setenv("TALEA_DB_URL", url, 1) != 0)
            report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    }
    int failed = settings_load(argument(arguments, "--config"), ".env", out, error, sizeof error);
    if (failed)
        report_usage_error("%s", error);
    return failed;
}

int find_ledger(const struct arguments *arguments, char **data_dir)
{
    struct settings settings;
    const char *url = argument(arguments, "--db-url");
    if (url)
        return read_db_url(url, data_dir);
    int failed = find_ledger_settings(arguments, &settings);
    if (failed)
        return failed;
    *data_dir = settings.data_dir;
    settings.data_dir = NULL;
    settings_free(&settings);
    return 0;
}
