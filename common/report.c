/*
 * Lines for the operator. A line is put together on the stack and leaves with
 * one write(2): nothing is buffered that a crash could lose or a fork could
 * print twice, and no memory is needed to say that there is none left.
 * A line that cannot be written (full pipe, closed stderr) is lost in silence.
 */
#include "common/report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <bsd/unistd.h>

#include "common/report_line.h"
#include "common/settings.h"

#define FIRST_FILE (STDERR_FILENO + 1)
#define PATH_BYTES_MAX 4096

static char process_name[32] = "talead";
static enum report_level level_shown = REPORT_INFO;
static enum report_format format_used = REPORT_AUTO;
static int sink = STDERR_FILENO; /* where lines go: this, or the log file */
static char file_path[PATH_BYTES_MAX];
static atomic_bool told_to_reopen; /* set by a signal handler */

void report_set_process(const char *name)
{
    snprintf(process_name, sizeof process_name, "%s", name);
}

void report_set_level(enum report_level level)
{
    level_shown = level;
}

void report_set_format(enum report_format format)
{
    format_used = format;
}

/* --- the log file --- */

static int open_file(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
}

static int begin_file(const char *path, char *error, size_t error_size)
{
    int failed = ENAMETOOLONG;
    if (strlen(path) < sizeof file_path) {
        int fd = open_file(path);
        failed = fd < 0 ? errno : 0;
        if (fd >= 0)
            sink = fd;
    }
    if (failed)
        snprintf(error, error_size, "invalid TALEA_LOG_FILE: cannot open %s: %s", path, strerror(failed));
    else
        strcpy(file_path, path);
    return failed;
}

int report_configure(const struct settings *settings, char *error, size_t error_size)
{
    int failed = 0;
    if (settings->log_file && sink == STDERR_FILENO)
        failed = begin_file(settings->log_file, error, error_size);
    if (failed)
        return failed;
    level_shown = (enum report_level)settings->log_level;
    format_used = (enum report_format)settings->log_format;
    return 0;
}

void report_reopen(void)
{
    if (sink == STDERR_FILENO)
        return;
    int fd = open_file(file_path);
    /* Under the old number: whoever writes at this moment, another thread too, writes to one of the two. */
    if (fd < 0 || dup3(fd, sink, O_CLOEXEC) < 0)
        report(REPORT_ERROR, "cannot open %s again: %m; this file goes on in its place", file_path);
    else
        report(REPORT_INFO, "log file opened again");
    if (fd >= 0)
        close(fd);
}

void report_reopen_soon(void)
{
    atomic_store(&told_to_reopen, true);
}

void report_reopen_if_told(void)
{
    if (atomic_load_explicit(&told_to_reopen, memory_order_relaxed) && atomic_exchange(&told_to_reopen, false))
        report_reopen();
}

void report_close_other_files(void)
{
    if (sink == STDERR_FILENO) {
        closefrom(FIRST_FILE);
        return;
    }
    if (sink != FIRST_FILE && dup3(sink, FIRST_FILE, O_CLOEXEC) == FIRST_FILE)
        sink = FIRST_FILE;
    closefrom(FIRST_FILE + 1);
}

/* --- lines --- */

/* systemd sets JOURNAL_STREAM to device:inode; inherited by children whose stderr may be another by now. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat st;
    return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
           st.st_dev == device && st.st_ino == inode;
}

static void write_line(int fd, const char *line, size_t length)
{
    ssize_t n;
    do
        n = write(fd, line, length);
    while (n < 0 && errno == EINTR);
}

__attribute__((format(printf, 4, 0))) static void report_text_line(enum report_level level,
                                                                    const struct report_field *fields, size_t count,
                                                                    const char *format, va_list args)
{
    int saved_errno = errno;
    char text[REPORT_LINE_BYTES_MAX], out[REPORT_LINE_BYTES_MAX];
    vsnprintf(text, sizeof text, format, args); /* before anything here touches errno: formats use %m */
    report_reopen_if_told();
    struct report_line line = {level, process_name, text, fields, count};
    bool for_journal = format_used == REPORT_AUTO && sink == STDERR_FILENO && stderr_is_journal();
    size_t length = format_used == REPORT_JSON ? report_line_json(&line, out)
                                               : report_line_text(&line, for_journal, out);
    write_line(sink, out, length);
    errno = saved_errno;
}

void report(enum report_level level, const char *format, ...)
{
    if (level > level_shown)
        return;
    va_list args;
    va_start(args, format);
    report_text_line(level, NULL, 0, format, args);
    va_end(args);
}

void report_fields(enum report_level level, const struct report_field *fields, size_t count, const char *format, ...)
{
    if (level > level_shown)
        return;
    va_list args;
    va_start(args, format);
    report_text_line(level, fields, count, format, args);
    va_end(args);
}

void report_usage_error(const char *format, ...)
{
    int saved_errno = errno;
    char text[REPORT_LINE_BYTES_MAX], out[REPORT_LINE_BYTES_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    write_line(STDERR_FILENO, out, report_line_plain(text, out));
    errno = saved_errno;
}

void report_fatal(int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    report_text_line(REPORT_ERROR, NULL, 0, format, args);
    va_end(args);
    _exit(status);
}
