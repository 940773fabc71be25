#include "common/snapshot_file.h"

/* Names and trailers; what the copy holds is the index's business. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/data_dir.h"
#include "common/digest.h"
#include "common/durable_file.h"
#include "common/little_endian.h"
#include "common/small_folios.h"

#define NAME_FORMAT "snapshot-%020" PRIu64 ".mdb"
#define NAME_ROOM 48
#define TRAILER_BYTES 48
#define TRAILER_CRC_AT 44

static const char magic[8] = {'T', 'A', 'L', 'E', 'A', 'S', 'N', 'P'};

int snapshot_name_parse(const char *name, uint64_t *position)
{
    char again[NAME_ROOM];
    if (sscanf(name, "snapshot-%" SCNu64 ".mdb", position) != 1)
        return EINVAL;
    snprintf(again, sizeof again, NAME_FORMAT, *position);
    return strcmp(again, name) == 0 ? 0 : EINVAL;
}

int snapshot_newest_below(const char *data_dir, uint64_t below, uint64_t *position)
{
    uint64_t named;
    struct dirent *entry;
    char *folder = data_dir_path(data_dir, DATA_DIR_SNAPSHOTS);
    DIR *dir = opendir(folder);
    free(folder);
    *position = 0;
    if (!dir)
        return errno == ENOENT ? 0 : errno;
    while (errno = 0, (entry = readdir(dir)))
        if (snapshot_name_parse(entry->d_name, &named) == 0 && named < below && named > *position)
            *position = named;
    int error = errno;
    closedir(dir);
    return error;
}

char *snapshot_path(const char *data_dir, uint64_t position)
{
    char name[NAME_ROOM];
    snprintf(name, sizeof name, NAME_FORMAT, position);
    char *folder = data_dir_path(data_dir, DATA_DIR_SNAPSHOTS);
    char *path = data_dir_path(folder, name);
    free(folder);
    return path;
}

int snapshot_write_trailer(int fd, const struct snapshot_trailer *t)
{
    uint8_t trailer[TRAILER_BYTES];
    memcpy(trailer, magic, sizeof magic);
    put_u64(trailer + 8, t->length);
    put_u64(trailer + 16, t->position);
    memcpy(trailer + 24, t->ledger.octets, sizeof t->ledger.octets);
    put_u32(trailer + 40, t->crc);
    put_u32(trailer + TRAILER_CRC_AT, crc32c(0, trailer, TRAILER_CRC_AT));
    return write_fully(fd, trailer, sizeof trailer, (off_t)t->length);
}

int snapshot_seal(int fd, uint64_t position, struct uuid ledger)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return errno;
    struct snapshot_trailer trailer = {.length = (uint64_t)st.st_size, .position = position, .ledger = ledger};
    int error = crc32c_of_file(fd, trailer.length, &trailer.crc);
    return error ? error : snapshot_write_trailer(fd, &trailer);
}

int snapshot_read_trailer(int fd, struct snapshot_trailer *out)
{
    uint8_t trailer[TRAILER_BYTES];
    struct stat st;
    /* Held until it is closed. Where there are no locks nobody gets the other one either, and it is freed at once. */
    if (flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return ENOENT;
    if (fstat(fd, &st) != 0)
        return errno;
    if (st.st_size < TRAILER_BYTES)
        return EBADMSG;
    ssize_t n = pread(fd, trailer, sizeof trailer, st.st_size - TRAILER_BYTES);
    if (n < 0)
        return errno;
    *out = (struct snapshot_trailer){
        .length = get_u64(trailer + 8), .position = get_u64(trailer + 16), .crc = get_u32(trailer + 40)};
    memcpy(out->ledger.octets, trailer + 24, sizeof out->ledger.octets);
    bool good = n == TRAILER_BYTES && memcmp(trailer, magic, sizeof magic) == 0 &&
                get_u32(trailer + TRAILER_CRC_AT) == crc32c(0, trailer, TRAILER_CRC_AT) &&
                out->length == (uint64_t)st.st_size - TRAILER_BYTES;
    return good ? 0 : EBADMSG;
}

static bool is_foreign(const char *data_dir, uint64_t position, struct uuid ledger)
{
    struct snapshot_trailer trailer;
    char *path = snapshot_path(data_dir, position);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    free(path);
    if (fd < 0)
        return false;
    bool foreign = snapshot_read_trailer(fd, &trailer) == 0 &&
                   memcmp(&trailer.ledger, &ledger, sizeof ledger) != 0;
    close(fd);
    return foreign;
}

int snapshot_newest_of(const char *data_dir, struct uuid ledger, uint64_t *position, uint64_t *foreign)
{
    int error;
    *foreign = 0;
    *position = UINT64_MAX;
    while ((error = snapshot_newest_below(data_dir, *position, position)) == 0 && *position &&
           is_foreign(data_dir, *position, ledger))
        if (*foreign == 0)
            *foreign = *position;
    return error;
}

int snapshot_check(const char *path, struct snapshot_trailer *out, int *fd)
{
    uint32_t crc;
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0)
        return errno;
    int error = snapshot_read_trailer(*fd, out);
    if (error == 0)
        error = crc32c_of_file(*fd, out->length, &crc);
    if (error == 0 && crc != out->crc)
        error = EBADMSG;
    if (error) {
        close(*fd);
        *fd = -1;
    }
    return error;
}

/* Where a copy goes: plainly, to become the index, or at a pace. */
struct target {
    struct paced_file *file;
    bool paced;
};

static int put(struct target *t, int in, const uint8_t *p, size_t n)
{
    if (t->paced) {
        (void)posix_fadvise(in, (off_t)t->file->written, (off_t)n, POSIX_FADV_DONTNEED);
        return paced_file_append(t->file, p, n);
    }
    int error = small_folios_write(t->file->fd, p, n, (off_t)t->file->written);
    t->file->written += n;
    return error;
}

static int copy_bytes(int in, struct target *t, uint64_t length, uint32_t *crc, struct progress *progress)
{
    size_t room = 256u << 10;
    uint8_t *chunk = malloc(room);
    int error = chunk ? 0 : ENOMEM;
    *crc = 0;
    for (uint64_t done = 0; error == 0 && done < length;) {
        progress_step(progress, done, length);
        ssize_t n = pread(in, chunk, length - done < room ? (size_t)(length - done) : room, (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        error = n < 0 ? errno : n == 0 ? EBADMSG : put(t, in, chunk, (size_t)n);
        if (error == 0) {
            *crc = crc32c(*crc, chunk, (size_t)n);
            done += (uint64_t)n;
        }
    }
    free(chunk);
    return error;
}

static int copy_to(int in, struct target *t, struct snapshot_trailer *trailer, struct progress *progress)
{
    uint32_t crc;
    int error = snapshot_read_trailer(in, trailer);
    if (error == 0)
        error = copy_bytes(in, t, trailer->length, &crc, progress);
    return error == 0 && crc != trailer->crc ? EBADMSG : error;
}

int snapshot_copy(int in, int out, struct snapshot_trailer *trailer, struct progress *progress)
{
    return copy_to(in, &(struct target){.file = &(struct paced_file){.fd = out}}, trailer, progress);
}

int snapshot_copy_paced(int in, struct paced_file *out, struct snapshot_trailer *trailer, struct progress *progress)
{
    int error = copy_to(in, &(struct target){.file = out, .paced = true}, trailer, progress);
    if (error == 0)
        error = snapshot_write_trailer(out->fd, trailer);
    return error ? error : paced_file_sync(out);
}
