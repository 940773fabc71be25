#include "common/data_dir.h"

/* Joins names only: it looks at no file. */
#include <stdio.h>

#include "common/exit_status.h"
#include "common/report.h"

char *data_dir_path(const char *dir, const char *name)
{
    char *path;
    if (asprintf(&path, "%s/%s", dir, name) < 0)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    return path;
}
