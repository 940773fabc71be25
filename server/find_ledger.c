#include "server/find_ledger.h"

#include "common/report.h"

static int read_db_url(const char *url, char **data_dir)
{
    char error[512];
    int failed = settings_parse_db_url(url, data_dir, error, sizeof error);
    if (failed)
        report_usage_error("invalid --db-url: %s", error);
    return failed;
}

int find_ledger(const struct arguments *arguments, char **data_dir)
{
    char error[512];
    struct settings settings;
    const char *url = argument(arguments, "--db-url");
    if (url)
        return read_db_url(url, data_dir);
    int failed = settings_load(argument(arguments, "--config"), ".env", &settings, error, sizeof error);
    if (failed) {
        report_usage_error("%s", error);
        return failed;
    }
    *data_dir = settings.data_dir;
    settings.data_dir = NULL;
    settings_free(&settings);
    return 0;
}
