/*
 * Lines for the operator. A line is put together on the stack and leaves with
 * one write(2): nothing is buffered that a crash could lose or a fork could
 * print twice, and no memory is needed to say that there is none left.
 * A line that cannot be written (full pipe, closed stderr) is lost in silence.
 */
#include "common/report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/rfc3339.h"

#define LINE_BYTES_MAX 4096
#define CUT_MARK "..."

static char process_name[32] = "talead";
static enum report_level level_shown = REPORT_INFO;

static const struct {
    const char *word;
    int journal_priority; /* of syslog(3) */
} levels[] = {
    [REPORT_ERROR] = {"error", 3},
    [REPORT_WARNING] = {"warning", 4},
    [REPORT_INFO] = {"info", 6},
    [REPORT_DEBUG] = {"debug", 7},
};

void report_set_process(const char *name)
{
    snprintf(process_name, sizeof process_name, "%s", name);
}

void report_set_level(enum report_level level)
{
    level_shown = level;
}

/* systemd sets JOURNAL_STREAM to device:inode; inherited by children whose stderr may be another by now. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat st;
    return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
           st.st_dev == device && st.st_ino == inode;
}

static size_t format_prefix(enum report_level level, char *out, size_t size)
{
    int length;
    if (stderr_is_journal()) {
        length =
            snprintf(out, size, "<%d>%s[%d]: ", levels[level].journal_priority, process_name, (int)getpid());
    } else {
        char now[RFC3339_TEXT_MAX];
        int now_length = rfc3339_format_us(clock_now_us(), now);
        length = snprintf(out, size, "%.*sZ %s %s[%d]: ", now_length - 4, now, levels[level].word,
                          process_name, (int)getpid());
    }
    return (size_t)length;
}

/* How many bytes at p are one control character: ASCII's, or U+0080..U+009F in UTF-8; 0 when it is none. */
static size_t control_length(const char *p)
{
    uint8_t c = (uint8_t)p[0], next = c ? (uint8_t)p[1] : 0;
    if (c < 0x20 || c == 0x7f)
        return 1;
    return c == 0xc2 && next >= 0x80 && next <= 0x9f ? 2 : 0;
}

/* Appends `text` to the line, escaped and cut to its room, with the newline; returns the line's length. */
static size_t finish_line(char line[static LINE_BYTES_MAX], size_t length, const char *text)
{
    size_t last = LINE_BYTES_MAX - sizeof CUT_MARK; /* leaves room for the mark and the newline */
    while (*text) {
        size_t controls = control_length(text);
        if (length + (controls ? 4 * controls : 1) > last) {
            memcpy(line + length, CUT_MARK, sizeof CUT_MARK - 1);
            length += sizeof CUT_MARK - 1;
            break;
        }
        if (!controls)
            line[length++] = *text++;
        for (; controls > 0; controls--, text++)
            length += (size_t)snprintf(line + length, 5, "\\x%02x", (unsigned)(uint8_t)*text);
    }
    line[length++] = '\n';
    return length;
}

static void write_line(const char *line, size_t length)
{
    ssize_t n;
    do
        n = write(STDERR_FILENO, line, length);
    while (n < 0 && errno == EINTR);
}

static void report_text(enum report_level level, const char *format, va_list args)
{
    int saved_errno = errno;
    char text[LINE_BYTES_MAX], line[LINE_BYTES_MAX];
    vsnprintf(text, sizeof text, format, args); /* before anything here touches errno: formats use %m */
    size_t length = format_prefix(level, line, sizeof line);
    write_line(line, finish_line(line, length, text));
    errno = saved_errno;
}

void report(enum report_level level, const char *format, ...)
{
    if (level > level_shown)
        return;
    va_list args;
    va_start(args, format);
    report_text(level, format, args);
    va_end(args);
}

void report_usage_error(const char *format, ...)
{
    int saved_errno = errno;
    char text[LINE_BYTES_MAX], line[LINE_BYTES_MAX] = "talead: ";
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    write_line(line, finish_line(line, strlen(line), text));
    errno = saved_errno;
}

void report_fatal(int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    report_text(REPORT_ERROR, format, args);
    va_end(args);
    _exit(status);
}
