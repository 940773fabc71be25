#ifndef TALEA_COMMON_REPORT_H
#define TALEA_COMMON_REPORT_H
/*
 * What talead tells its operator: one line an event, to stderr, written with
 * one write(2) so that the lines of several processes never mix. Callers never
 * pass a token or a body. (The ledger's own log is something else: log_format.h.)
 *
 * A line: `2026-06-04T12:00:00.123Z warning arbiter[1234]: text`; control
 * characters in it are escaped as \xNN. With JOURNAL_STREAM in the environment
 * naming stderr, `<4>` priorities stand in front instead of time and level.
 */
#include <stdbool.h>

enum report_level { REPORT_ERROR, REPORT_WARNING, REPORT_INFO, REPORT_DEBUG };

/* Names the process in every later line ("master", "arbiter", "worker 2"); copied. Call after each fork. */
void report_set_process(const char *name);

/* Lines above this level are not written; REPORT_INFO until set. */
void report_set_level(enum report_level level);

void report(enum report_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * A plain `talead: text` line for somebody at a terminal whose command cannot
 * go on (bad settings, a locked directory): no time, no process.
 */
void report_usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* One line, then _exit(status): for a broken environment (no memory, a syscall that cannot fail). */
void report_fatal(int status, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));

#endif
