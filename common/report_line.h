#ifndef TALEA_COMMON_REPORT_LINE_H
#define TALEA_COMMON_REPORT_LINE_H
/*
 * The form of one line for the operator: text, text for the journal, JSON. No
 * memory but the caller's: a line must be possible when there is none left.
 * What it is given may hold anything; what comes out is one line.
 */
#include "common/report.h"

#define REPORT_LINE_BYTES_MAX 4096 /* as much as a pipe takes in one piece */

struct report_line {
    enum report_level level;
    const char *process;
    const char *message;
    const struct report_field *fields;
    size_t field_count;
};

/* Each writes a whole line with its newline and returns its length. */
size_t report_line_text(const struct report_line *line, bool for_journal, char out[static REPORT_LINE_BYTES_MAX]);
size_t report_line_json(const struct report_line *line, char out[static REPORT_LINE_BYTES_MAX]);
/* `talead: message` */
size_t report_line_plain(const char *message, char out[static REPORT_LINE_BYTES_MAX]);

#endif
