#ifndef TALEA_COMMON_REPORT_H
#define TALEA_COMMON_REPORT_H
/*
 * What talead tells its operator: one line an event, to stderr or to the log
 * file, written with one write(2) so that the lines of several processes never
 * mix. Callers never pass a token or a body. (The ledger's own log is something
 * else: log_format.h.)
 *
 * A line of text: `2026-06-04T12:00:00.123Z warning arbiter[1234]: message`,
 * control characters in it escaped as \xNN; its fields follow as
 * ` name=value`, the value in quotes where it would else be cut in two. For the
 * journal a `<4>` priority stands in front instead of time and level. As JSON:
 * {"time","level","process","pid","message"} and the fields, on one line.
 *
 * Any thread may report. The rest is for the one that starts the process.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/bytes.h"

struct settings;

/* In the order of the words of TALEA_LOG_LEVEL. */
enum report_level { REPORT_ERROR, REPORT_WARNING, REPORT_INFO, REPORT_DEBUG };

/* In the order of the words of TALEA_LOG_FORMAT; AUTO: with priorities when stderr is the journal, else TEXT. */
enum report_format { REPORT_AUTO, REPORT_TEXT, REPORT_JSON };

/* Names the process in every later line ("master", "arbiter", "worker 2"); copied. Call after each fork. */
void report_set_process(const char *name);

/* Lines above this level are not written; REPORT_INFO until set. */
void report_set_level(enum report_level level);
/* REPORT_AUTO until set. */
void report_set_format(enum report_format format);

/*
 * Takes level and format from the settings, and opens the log file that they
 * name; later calls leave the file that is open. 0, or errno with one line in
 * `error`, and then nothing is changed. For the master; its children inherit it.
 */
int report_configure(const struct settings *settings, char *error, size_t error_size)
    __attribute__((warn_unused_result));

/*
 * Opens the log file anew under its name: it was moved away. When that fails,
 * the old one goes on and says so. Without a log file it does nothing.
 */
void report_reopen(void);
/* For a signal handler: the next line, or the next report_reopen_if_told, reopens first. */
void report_reopen_soon(void);
void report_reopen_if_told(void);

/* For a child that must not hold what its parent has open: closes all but 0, 1, 2 and the log file. */
void report_close_other_files(void);

void report(enum report_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What a program that reads the log looks for. Names are short words of the code, values are whoever's. */
struct report_field {
    const char *name;
    enum { REPORT_FIELD_TEXT, REPORT_FIELD_COUNT, REPORT_FIELD_MS } kind;
    struct bytes text; /* base NULL: the field is left out */
    uint64_t number;   /* a count, or ns that are shown as ms */
};
#define REPORT_FIELDS_MAX 12

static inline struct report_field report_text(const char *name, struct bytes text)
{
    return (struct report_field){.name = name, .kind = REPORT_FIELD_TEXT, .text = text};
}

static inline struct report_field report_count(const char *name, uint64_t count)
{
    return (struct report_field){.name = name, .kind = REPORT_FIELD_COUNT, .number = count};
}

static inline struct report_field report_ms(const char *name, uint64_t ns)
{
    return (struct report_field){.name = name, .kind = REPORT_FIELD_MS, .number = ns};
}

/* A line with up to REPORT_FIELDS_MAX fields behind its message; long values are cut. */
void report_fields(enum report_level level, const struct report_field *fields, size_t count, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/*
 * A plain `talead: text` line for somebody at a terminal whose command cannot
 * go on (bad settings, a locked directory): always to stderr, no time, no process.
 */
void report_usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* One line, then _exit(status): for a broken environment (no memory, a syscall that cannot fail). */
void report_fatal(int status, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));

#endif
