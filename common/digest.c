#include "common/digest.h"

/*
 * ISA-L's crc32_iscsi neither inverts its start value nor its result; the
 * standard CRC-32C does both. libcrypto's SHA-256 is fetched once, and each
 * thread keeps one context: making one costs more than hashing a key.
 */
#include <errno.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <isa-l/crc.h>

#include "common/exit_status.h"
#include "common/report.h"

uint32_t crc32c(uint32_t crc, const void *p, size_t n)
{
    const uint8_t *at = p;
    crc = ~crc;
    while (n > 0) {
        int step = n > INT_MAX ? INT_MAX : (int)n;
        crc = crc32_iscsi((unsigned char *)at, step, crc);
        at += step;
        n -= (size_t)step;
    }
    return ~crc;
}

int crc32c_of_file(int fd, uint64_t bytes, uint32_t *out)
{
    size_t room = 1u << 20;
    uint8_t *chunk = malloc(room);
    int error = chunk ? 0 : ENOMEM;
    *out = 0;
    for (uint64_t done = 0; error == 0 && done < bytes;) {
        size_t want = bytes - done < room ? (size_t)(bytes - done) : room;
        ssize_t n = pread(fd, chunk, want, (off_t)done);
        if (n > 0) {
            *out = crc32c(*out, chunk, (size_t)n);
            done += (uint64_t)n;
        } else if (n == 0) {
            error = EBADMSG;
        } else if (errno != EINTR) {
            error = errno;
        }
    }
    free(chunk);
    return error;
}

void sha256_format(const struct sha256 *value, char out[static 2 * SHA256_SIZE + 1])
{
    for (size_t i = 0; i < SHA256_SIZE; i++)
        snprintf(out + 2 * i, 3, "%02x", value->octets[i]);
}

struct sha256 sha256_of(const struct bytes *parts, size_t count)
{
    static _Thread_local EVP_MD_CTX *context;
    static _Thread_local EVP_MD *sha256;
    struct sha256 out;
    if (!context) {
        context = EVP_MD_CTX_new();
        sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    }
    int ok = context && sha256 && EVP_DigestInit_ex2(context, sha256, NULL);
    for (size_t i = 0; ok && i < count; i++)
        ok = parts[i].len == 0 || EVP_DigestUpdate(context, parts[i].base, parts[i].len);
    if (!ok || !EVP_DigestFinal_ex(context, out.octets, NULL))
        report_fatal(EXIT_STATUS_FAILED, "libcrypto cannot compute SHA-256");
    return out;
}
