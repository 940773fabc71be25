#ifndef TALEA_COMMON_PACED_FILE_H
#define TALEA_COMMON_PACED_FILE_H
/*
 * Big files beside a server that syncs its log on the same disk. What a disk
 * is given at once is what every sync behind it waits for, and a kernel that
 * is left alone with written pages hands over gigabytes in one go. So a file
 * is written, and given up, in small steps: each is on its way to the disk
 * before the next begins, and is followed by a rest as long as it took, or
 * longer where a rate is set. What is on stable storage leaves the page cache,
 * which others need more.
 *
 * All return 0 or errno.
 */
#include <stddef.h>
#include <stdint.h>

/* A rate that leaves most of a usual disk to the log's syncs. */
#define PACED_BYTES_PER_S (128u << 20)

/* One that is written from its begin to its end. `fd` is open for writing, and the counts begin at zero. */
struct paced_file {
    int fd;
    uint64_t bytes_per_s; /* at most; 0: half of the disk's time is the only limit */
    uint64_t written;
    uint64_t synced; /* these are on stable storage */
};

/* Appends; takes as long as the pace wants. */
int paced_file_append(struct paced_file *f, const void *p, size_t n) __attribute__((warn_unused_result));

/*
 * The same for what somebody else wrote to the file, about `n` bytes since the
 * last time, as LMDB does. It stays in the page cache.
 */
int paced_file_hand_over(struct paced_file *f, size_t n) __attribute__((warn_unused_result));

/* fsync: all of it is on stable storage, its length too. */
int paced_file_sync(struct paced_file *f) __attribute__((warn_unused_result));

/*
 * Removes the name at once, and the file's blocks in small steps: a file
 * system that tells its disk what it frees makes syncs wait for that. Somebody
 * who holds a lock of the file (flock) reads on, and it is freed when he closes
 * it. ENOENT: there is none.
 */
int paced_unlink(const char *path) __attribute__((warn_unused_result));

/* durable_rename in the place of what may be there, whose blocks are freed in the same way. */
int paced_replace(const char *from, const char *to) __attribute__((warn_unused_result));

#endif
