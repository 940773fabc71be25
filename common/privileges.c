#include "common/privileges.h"

/*
 * Whether the files are within reach is tried, not reckoned: with no capability
 * in effect, but all still permitted. Owners and modes alone would not do; a
 * folder far above can be closed as well.
 */
#include <fcntl.h>
#include <fts.h>
#include <libgen.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/sanitizer.h"

#define OVERRIDE_BIT (UINT32_C(1) << CAP_DAC_OVERRIDE)

void privileges_refuse_new(void)
{
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

void privileges_hide_memory(bool core_dumps)
{
    /* What finds leaks at the end of a sanitized process is a tracer itself. */
    (void)prctl(PR_SET_DUMPABLE, core_dumps || TALEA_SANITIZED ? 1 : 0, 0, 0, 0);
}

/* --- capabilities --- */

struct capabilities {
    struct __user_cap_data_struct words[_LINUX_CAPABILITY_U32S_3];
};

/* By the kernel's own interface: libcap would be a library for two calls. */
static bool get_capabilities(struct capabilities *out)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    return syscall(SYS_capget, &header, out->words) == 0;
}

static bool set_capabilities(const struct capabilities *to)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    return syscall(SYS_capset, &header, to->words) == 0;
}

static bool has_any(const struct capabilities *held)
{
    return held->words[0].permitted || held->words[1].permitted;
}

/* A file that is not there is none that cannot be reached: who makes it owns it. */
static bool may(const char *path, int mode)
{
    return faccessat(AT_FDCWD, path, mode, AT_EACCESS) == 0 || access(path, F_OK) != 0;
}

static bool may_make_in_folder_of(const char *path)
{
    char copy[PATH_MAX];
    snprintf(copy, sizeof copy, "%s", path);
    return faccessat(AT_FDCWD, dirname(copy), W_OK | X_OK, AT_EACCESS) == 0;
}

static bool may_use(const FTSENT *entry)
{
    switch (entry->fts_info) {
    case FTS_D:
        return may(entry->fts_accpath, R_OK | W_OK | X_OK);
    case FTS_F:
        return may(entry->fts_accpath, R_OK | W_OK);
    case FTS_DNR:
        return false;
    default: /* a link or a socket; the way back up */
        return true;
    }
}

static bool may_use_ledger(const char *data_dir)
{
    char *const roots[] = {(char *)data_dir, NULL};
    if (faccessat(AT_FDCWD, data_dir, F_OK, AT_EACCESS) != 0)
        return may_make_in_folder_of(data_dir);
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    bool all = tree != NULL;
    for (FTSENT *entry; all && (entry = fts_read(tree));)
        all = may_use(entry);
    if (tree)
        fts_close(tree);
    return all;
}

/* It is opened again when it was moved away, which makes a new one. */
static bool may_use_log(const char *log_file)
{
    return !log_file || (may(log_file, W_OK) && may_make_in_folder_of(log_file));
}

bool privileges_drop_capabilities(const char *data_dir, const char *log_file)
{
    struct capabilities held, none = {0}, idle;
    if (!get_capabilities(&held) || !has_any(&held))
        return false;
    bool overrides = held.words[0].permitted & OVERRIDE_BIT;
    idle = held;
    idle.words[0].effective = idle.words[1].effective = 0;
    if (overrides && set_capabilities(&idle) && !(may_use_ledger(data_dir) && may_use_log(log_file))) {
        none.words[0].effective = none.words[0].permitted = OVERRIDE_BIT;
        return set_capabilities(&none);
    }
    (void)set_capabilities(&none);
    return false;
}
