#include "server/write_fence.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/data_dir.h"

/* Of versions 2 and 3, which the headers may not know yet. */
#define ACCESS_REFER (UINT64_C(1) << 13)
#define ACCESS_TRUNCATE (UINT64_C(1) << 14)
#define ACCESS_OF_FIRST_VERSION                                                                                        \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                      \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |                     \
     LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |                       \
     LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)

/* The C library has no functions for these. 0 or errno. */
static int allow_below(int rules, const char *folder, uint64_t access)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = access};
    rule.parent_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (rule.parent_fd < 0)
        return errno;
    int failed = syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0 ? errno : 0;
    close(rule.parent_fd);
    return failed;
}

static uint64_t access_known_to(long version)
{
    return ACCESS_OF_FIRST_VERSION | (version >= 2 ? ACCESS_REFER : 0) | (version >= 3 ? ACCESS_TRUNCATE : 0);
}

/* Is `path` the folder itself or below it? Both without links. */
static bool lies_in(const char *path, const char *folder)
{
    size_t length = strlen(folder);
    if (strcmp(folder, "/") == 0)
        return true;
    return strncmp(path, folder, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

/* The folder of the log file, for free(3); NULL: it cannot be had, or it would open the ledger as well. */
static char *folder_beside(const char *data_dir, const char *log_file)
{
    char copy[PATH_MAX];
    snprintf(copy, sizeof copy, "%s", log_file);
    char *folder = realpath(dirname(copy), NULL), *ledger = realpath(data_dir, NULL);
    if (folder && (!ledger || lies_in(ledger, folder) || lies_in(folder, ledger))) {
        free(folder);
        folder = NULL;
    }
    free(ledger);
    return folder;
}

static int restrict_to(int rules, const char *data_dir, const char *log_folder)
{
    char *index = data_dir_path(data_dir, DATA_DIR_INDEX);
    int error = allow_below(rules, index, LANDLOCK_ACCESS_FS_WRITE_FILE);
    free(index);
    if (error == 0 && log_folder)
        error = allow_below(rules, log_folder, LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG);
    if (error == 0 && syscall(SYS_landlock_restrict_self, rules, 0) != 0)
        error = errno;
    return error;
}

bool write_fence_raise(const char *data_dir, const char *log_file, const char **why)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1) {
        *why = "the kernel has no Landlock";
        return false;
    }
    char *log_folder = log_file ? folder_beside(data_dir, log_file) : NULL;
    if (log_file && !log_folder) {
        *why = "the folder of the log file holds the ledger, or lies in it";
        return false;
    }
    struct landlock_ruleset_attr handled = {.handled_access_fs = access_known_to(version)};
    int rules = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof handled.handled_access_fs, 0);
    int error = rules < 0 ? errno : restrict_to(rules, data_dir, log_folder);
    if (rules >= 0)
        close(rules);
    free(log_folder);
    *why = strerror(error);
    return error == 0;
}
