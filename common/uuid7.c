/*
 * Version 7 UUIDs, and the kernel's random source behind them. A system call
 * for each id would cost more than the rest of it, so random bytes are drawn in
 * blocks, one for each thread. No block outlives a fork: parent and child
 * would hand out the same bits.
 */
#include "common/uuid7.h"

#include <errno.h>
#include <pthread.h>
#include <sys/random.h>

#include "common/exit_status.h"
#include "common/report.h"

#define BLOCK_BYTES 4096
#define RANDOM_BYTES_PER_ID 10

static _Thread_local struct {
    uint8_t bytes[BLOCK_BYTES];
    size_t left; /* not handed out yet, at the end of the block */
} block;

/* Runs in the child, in the thread that forked: the only one there is. */
static void forget_block(void)
{
    block.left = 0;
}

static void watch_forks(void)
{
    if (pthread_atfork(NULL, NULL, forget_block) != 0)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory: cannot register a fork handler");
}

void random_fill(void *p, size_t n)
{
    for (uint8_t *at = p; n > 0;) {
        ssize_t got = getrandom(at, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            report_fatal(EXIT_STATUS_FAILED, "cannot read the kernel's random source: %m");
        at += got;
        n -= (size_t)got;
    }
}

static void draw(uint8_t *out, size_t n)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    if (block.left < n) {
        random_fill(block.bytes, sizeof block.bytes);
        block.left = sizeof block.bytes;
    }
    memcpy(out, block.bytes + sizeof block.bytes - block.left, n);
    block.left -= n;
}

struct uuid uuid7_make(int64_t at_us)
{
    struct uuid id;
    uint64_t ms = at_us > 0 ? (uint64_t)at_us / 1000 : 0; /* a clock before 1970 has no place in the format */
    for (int i = 0; i < 6; i++)
        id.octets[i] = (uint8_t)(ms >> (40 - 8 * i));
    draw(id.octets + 6, RANDOM_BYTES_PER_ID);
    id.octets[6] = (uint8_t)(0x70 | (id.octets[6] & 0x0f)); /* version */
    id.octets[8] = (uint8_t)(0x80 | (id.octets[8] & 0x3f)); /* variant */
    return id;
}

static bool hyphen_at(int i)
{
    return i == 8 || i == 13 || i == 18 || i == 23;
}

static inline char *put_hex(char *out, const uint8_t *octets, size_t count)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        *out++ = hex[octets[i] >> 4];
        *out++ = hex[octets[i] & 0x0f];
    }
    return out;
}

void uuid_format(struct uuid id, char out[static UUID_TEXT_LEN])
{
    const uint8_t *octet = id.octets;
    out = put_hex(out, octet, 4);
    *out++ = '-';
    for (octet += 4; octet < id.octets + 10; octet += 2) {
        out = put_hex(out, octet, 2);
        *out++ = '-';
    }
    put_hex(out, octet, 6);
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int uuid_parse_text(struct bytes text, struct uuid *out)
{
    struct uuid id;
    uint8_t *octet = id.octets;
    if (text.len != UUID_TEXT_LEN)
        return EINVAL;
    for (int i = 0; i < UUID_TEXT_LEN;) {
        if (hyphen_at(i)) {
            if (text.base[i++] != '-')
                return EINVAL;
            continue;
        }
        int high = hex_value(text.base[i++]), low = hex_value(text.base[i++]);
        if (high < 0 || low < 0)
            return EINVAL;
        *octet++ = (uint8_t)(high << 4 | low);
    }
    *out = id;
    return 0;
}
