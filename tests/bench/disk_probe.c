/*
 * What the disk does by itself: writes 4 KiB and syncs it, one after the other,
 * into a file that was filled with zeros, and prints what a pair took as one
 * JSON object. No server is faster for a lone post than this.
 *
 *   disk_probe [--seconds S] --dir DIR
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/exit_status.h"
#include "common/report.h"
#include "common/rfc3339.h"
#include "tests/bench/zero_file.h"

#define WRITE_BYTES 4096
#define FILE_BYTES (64u << 20)

static int by_value(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? -1 : x > y;
}

/* Nanoseconds of each write with its sync, for so long. */
static void probe(int fd, double seconds, struct buffer *taken_ns)
{
    static char bytes[WRITE_BYTES];
    memset(bytes, 'x', sizeof bytes);
    uint64_t now = clock_monotonic_ns(), end = now + (uint64_t)(seconds * 1e9);
    for (uint64_t n = 0; now < end; n++) {
        off_t at = (off_t)(n * WRITE_BYTES % FILE_BYTES);
        if (pwrite(fd, bytes, WRITE_BYTES, at) != WRITE_BYTES || fdatasync(fd) != 0)
            report_fatal(EXIT_STATUS_FAILED, "cannot write: %s", strerror(errno));
        uint64_t then = now;
        now = clock_monotonic_ns();
        then = now - then;
        buffer_append(taken_ns, &then, sizeof then);
    }
}

static double percentile_us(const uint64_t *sorted_ns, size_t count, double part)
{
    size_t place = (size_t)(part * (double)count);
    return (double)sorted_ns[place < count ? place : count - 1] / 1e3;
}

static void print(uint64_t *taken_ns, size_t count)
{
    double sum_ns = 0;
    qsort(taken_ns, count, sizeof *taken_ns, by_value);
    for (size_t i = 0; i < count; i++)
        sum_ns += (double)taken_ns[i];
    printf("{\"scenario\":\"disk\",\"seconds\":%.3f,\"requests\":%zu,\"per_s\":%.1f,\"latency_us\":{\"mean\":%.1f,"
           "\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p99_9\":%.1f,\"max\":%.1f}}\n",
           sum_ns / 1e9, count, (double)count / (sum_ns / 1e9), sum_ns / 1e3 / (double)count,
           percentile_us(taken_ns, count, 0.5), percentile_us(taken_ns, count, 0.9),
           percentile_us(taken_ns, count, 0.99), percentile_us(taken_ns, count, 0.999),
           percentile_us(taken_ns, count, 1));
}

static bool read_options(int argc, char **argv, double *seconds, const char **dir)
{
    static const struct option known[] = {
        {"seconds", required_argument, NULL, 's'}, {"dir", required_argument, NULL, 'd'}, {0}};
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (option == 's')
            *seconds = strtod(optarg, NULL);
        else if (option == 'd')
            *dir = optarg;
        else
            return false;
    }
    return *dir && optind == argc && *seconds > 0;
}

int main(int argc, char **argv)
{
    const char *dir = NULL;
    double seconds = 1;
    struct buffer taken_ns = {0};
    if (!read_options(argc, argv, &seconds, &dir)) {
        fprintf(stderr, "usage: disk_probe [--seconds S] --dir DIR\n");
        return EXIT_STATUS_USAGE;
    }
    probe(zero_file_open(dir, FILE_BYTES), seconds, &taken_ns);
    print((uint64_t *)(void *)taken_ns.base, taken_ns.len / sizeof(uint64_t));
    buffer_free(&taken_ns);
    return EXIT_STATUS_OK;
}
