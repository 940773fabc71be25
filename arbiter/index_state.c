#include "arbiter/index_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arbiter/directory.h"
#include "common/data_dir.h"

#define STATE_NAME "STATE"
#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"
#define BOOT_ID_LEN 36

/* An unreadable boot id is "", which equals no other. */
static void read_boot_id(char out[static BOOT_ID_LEN + 1])
{
    int fd = open(BOOT_ID_PATH, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, out, BOOT_ID_LEN);
    if (fd >= 0)
        close(fd);
    out[n == BOOT_ID_LEN ? BOOT_ID_LEN : 0] = '\0';
}

struct state {
    char boot[BOOT_ID_LEN + 1];
    char ledger[UUID_TEXT_LEN + 1];
    char clean[4];
};

static int read_state(const char *path, struct state *out)
{
    char *file = data_dir_path(path, STATE_NAME);
    FILE *f = fopen(file, "re");
    int error = f ? 0 : errno;
    free(file);
    if (error)
        return error;
    if (fscanf(f, "boot %36s ledger %36s clean %3s", out->boot, out->ledger, out->clean) != 3)
        error = EBADMSG;
    fclose(f);
    return error;
}

bool index_state_usable(const char *path, struct uuid ledger, const char **why)
{
    struct state state;
    char boot[BOOT_ID_LEN + 1], uuid[UUID_TEXT_LEN];
    *why = NULL;
    if (access(path, F_OK) != 0)
        return false;
    if (read_state(path, &state) != 0) {
        *why = "its STATE file is missing or unreadable";
        return false;
    }
    uuid_format(ledger, uuid);
    if (memcmp(uuid, state.ledger, UUID_TEXT_LEN) != 0) {
        *why = "it belongs to another ledger";
        return false;
    }
    if (strcmp(state.clean, "yes") == 0)
        return true;
    read_boot_id(boot);
    if (boot[0] != '\0' && strcmp(boot, state.boot) == 0)
        return true;
    *why = "the machine went down while it was written";
    return false;
}

static int write_text(const char *file, const char *text)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    size_t n = strlen(text);
    ssize_t done = write(fd, text, n);
    int error = done < 0 ? errno : (size_t)done != n ? EIO : fsync(fd) ? errno : 0;
    close(fd);
    return error;
}

int index_state_write(const char *path, struct uuid ledger, bool clean)
{
    char boot[BOOT_ID_LEN + 1], uuid[UUID_TEXT_LEN + 1], text[160];
    read_boot_id(boot);
    uuid_format(ledger, uuid);
    uuid[UUID_TEXT_LEN] = '\0';
    snprintf(text, sizeof text, "boot %s\nledger %s\nclean %s\n", boot[0] ? boot : "unknown", uuid,
             clean ? "yes" : "no");
    char *final = data_dir_path(path, STATE_NAME);
    char *temporary = data_dir_path(path, STATE_NAME ".new");
    int error = write_text(temporary, text);
    if (error == 0 && rename(temporary, final) != 0)
        error = errno;
    if (error == 0)
        error = directory_sync(path);
    free(temporary);
    free(final);
    return error;
}
