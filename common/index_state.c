#include "common/index_state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/data_dir.h"
#include "common/digest.h"
#include "common/durable_file.h"
#include "common/small_folios.h"

#define STATE_NAME "STATE"
#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"
#define BOOT_ID_LEN 36
#define BOOT_ID_OF_TEST "TALEA_TEST_BOOT_ID"

/* An unreadable boot id is "", which equals no other. */
static void read_boot_id(char out[static BOOT_ID_LEN + 1])
{
    const char *of_test = getenv(BOOT_ID_OF_TEST);
    if (of_test) {
        snprintf(out, BOOT_ID_LEN + 1, "%s", of_test);
        return;
    }
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
    uint64_t position, bytes;
    uint32_t crc;
};

static int read_state(const char *path, struct state *out)
{
    char *file = data_dir_path(path, STATE_NAME);
    FILE *f = fopen(file, "re");
    int error = f ? 0 : errno;
    free(file);
    if (error)
        return error;
    if (fscanf(f, "boot %36s ledger %36s clean %3s position %" SCNu64 " bytes %" SCNu64 " crc %" SCNx32, out->boot,
               out->ledger, out->clean, &out->position, &out->bytes, &out->crc) != 6)
        error = EBADMSG;
    fclose(f);
    return error;
}

static int crc_of_data(const char *path, uint64_t bytes, uint32_t *crc)
{
    char *file = data_dir_path(path, "data.mdb");
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        small_folios_for_reads(fd);
    int error = fd < 0 ? errno : crc32c_of_file(fd, bytes, crc);
    if (fd >= 0)
        close(fd);
    free(file);
    return error;
}

bool index_state_usable(const char *path, struct uuid ledger, uint64_t *position, const char **why)
{
    struct state state;
    char boot[BOOT_ID_LEN + 1], uuid[UUID_TEXT_LEN];
    *why = NULL;
    *position = 0;
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
    if (strcmp(state.clean, "yes") == 0) {
        uint32_t crc;
        *position = state.position;
        *why = "its bytes are not those of its clean stop";
        return crc_of_data(path, state.bytes, &crc) == 0 && crc == state.crc;
    }
    read_boot_id(boot);
    if (boot[0] != '\0' && strcmp(boot, state.boot) == 0)
        return true;
    *why = "the machine went down while it was written";
    return false;
}

static int write_state(const char *path, struct uuid ledger, const char *clean, uint64_t position, uint64_t bytes,
                       uint32_t crc)
{
    char boot[BOOT_ID_LEN + 1], uuid[UUID_TEXT_LEN + 1], text[256];
    read_boot_id(boot);
    uuid_format(ledger, uuid);
    uuid[UUID_TEXT_LEN] = '\0';
    snprintf(text, sizeof text, "boot %s\nledger %s\nclean %s\nposition %" PRIu64 "\nbytes %" PRIu64 "\ncrc %08" PRIx32 "\n",
             boot[0] ? boot : "unknown", uuid, clean, position, bytes, crc);
    char *file = data_dir_path(path, STATE_NAME);
    int error = durable_replace(file, bytes_of_string(text));
    free(file);
    return error;
}

int index_state_write_open(const char *path, struct uuid ledger)
{
    return write_state(path, ledger, "no", 0, 0, 0);
}

int index_state_write_clean(const char *path, struct uuid ledger, uint64_t position, uint64_t bytes)
{
    uint32_t crc;
    int error = crc_of_data(path, bytes, &crc);
    return error ? error : write_state(path, ledger, "yes", position, bytes, crc);
}
