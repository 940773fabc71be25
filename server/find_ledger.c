#include "server/find_ledger.h"

#include <errno.h>

#include "common/report.h"
#include "common/settings.h"

int find_ledger(const char *db_url, const char *config, char **data_dir)
{
    char error[512];
    struct settings settings;
    if (db_url) {
        int failed = settings_parse_db_url(db_url, data_dir, error, sizeof error);
        if (failed)
            report_usage_error("invalid --db-url: %s", error);
        return failed;
    }
    if (settings_load(config, ".env", &settings, error, sizeof error) != 0) {
        report_usage_error("%s", error);
        return EINVAL;
    }
    *data_dir = settings.data_dir;
    settings.data_dir = NULL;
    settings_free(&settings);
    return 0;
}
