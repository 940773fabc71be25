#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <unistr.h>

#include "common/report.h"
#include "common/settings.h"

void fuzz_broken(const char *file, int line, const char *property)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, property);
    abort();
}

uint8_t *fuzz_copy(struct bytes bytes)
{
    uint8_t *copy = malloc(bytes.len ? bytes.len : 1);
    if (!copy)
        abort();
    if (bytes.len)
        memcpy(copy, bytes.base, bytes.len);
    return copy;
}

struct bytes fuzz_cut(struct bytes input, const char *mark, struct bytes *rest)
{
    size_t mark_len = strlen(mark);
    const uint8_t *at = input.len ? memmem(input.base, input.len, mark, mark_len) : NULL;
    *rest = at ? bytes_of(at + mark_len, input.len - mark_len - (size_t)(at - input.base)) : bytes_of("", 0);
    return at ? bytes_of(input.base, (size_t)(at - input.base)) : input;
}

int fuzz_is_one_line(const char *text)
{
    for (const char *p = text; *p; p++)
        if ((uint8_t)*p < 0x20 || *p == 0x7f)
            return 0;
    return text[0] != '\0' && !u8_check((const uint8_t *)text, strlen(text));
}

void fuzz_file_fill(struct fuzz_file *file, struct bytes content)
{
    if (!file->fd) {
        file->fd = memfd_create("fuzz", MFD_CLOEXEC);
        FUZZ_HOLDS(file->fd > 0);
        snprintf(file->path, sizeof file->path, "/proc/self/fd/%d", file->fd);
    }
    FUZZ_HOLDS(ftruncate(file->fd, 0) == 0);
    FUZZ_HOLDS(pwrite(file->fd, content.base, content.len, 0) == (ssize_t)content.len);
}

void fuzz_silence_report(void)
{
    static int done;
    char error[200];
    struct settings settings = {.log_file = (char *)"/dev/null", .log_level = REPORT_ERROR};
    if (!done)
        FUZZ_HOLDS(report_configure(&settings, error, sizeof error) == 0);
    done = 1;
}
