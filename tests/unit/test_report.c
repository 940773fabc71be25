/* The operator's lines: their form, and that nothing in them can forge another line. */
#include "common/report.h"

#include <errno.h>
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char written[16384];
static size_t written_count;

/* Runs `what` in a child whose stderr is a pipe; keeps what came out of it and returns the exit status. */
static int run(void (*what)(void))
{
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        what();
        _exit(0);
    }
    close(ends[1]);
    written_count = 0;
    for (ssize_t n; (n = read(ends[0], written + written_count, sizeof written - 1 - written_count)) > 0;)
        written_count += (size_t)n;
    written[written_count] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void assert_written_matches(const char *pattern)
{
    regex_t compiled;
    assert_int_equal(regcomp(&compiled, pattern, REG_EXTENDED | REG_NOSUB), 0);
    int outcome = regexec(&compiled, written, 0, NULL, 0);
    regfree(&compiled);
    if (outcome != 0)
        fail_msg("\"%s\" does not match \"%s\"", written, pattern);
}

#define TIME "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z "

static void say_a_warning(void)
{
    report_set_process("arbiter");
    report(REPORT_WARNING, "cut %d bytes", 7);
}

static void line_has_time_level_process_and_text(void **state)
{
    (void)state;
    assert_int_equal(run(say_a_warning), 0);
    assert_written_matches(TIME "warning arbiter\\[[0-9]+\\]: cut 7 bytes\n$");
}

static void say_at_each_level(void)
{
    report_set_process("m");
    for (enum report_level shown = REPORT_ERROR; shown <= REPORT_DEBUG; shown++) {
        report_set_level(shown);
        for (enum report_level level = REPORT_ERROR; level <= REPORT_DEBUG; level++)
            report(level, "%d", (int)shown);
    }
}

static void levels_above_the_one_set_are_silent(void **state)
{
    (void)state;
    run(say_at_each_level);
    int lines[4] = {0};
    for (char *line = strtok(written, "\n"); line; line = strtok(NULL, "\n"))
        lines[line[strlen(line) - 1] - '0']++;
    for (int shown = 0; shown < 4; shown++)
        assert_int_equal(lines[shown], shown + 1);
}

static void say_at_default_level(void)
{
    report(REPORT_DEBUG, "hidden");
    report(REPORT_INFO, "shown");
}

static void info_is_the_level_until_set(void **state)
{
    (void)state;
    run(say_at_default_level);
    assert_written_matches(TIME "info talead\\[[0-9]+\\]: shown\n$");
}

static void say_control_characters(void)
{
    report(REPORT_INFO, "a\nb\r\x1b[2J\x7f\x01\tc\xc2\x9b\xc3\xbc\xff|");
}

static void control_characters_are_escaped(void **state)
{
    (void)state;
    run(say_control_characters);
    assert_non_null(strstr(written, ": a\\x0ab\\x0d\\x1b[2J\\x7f\\x01\\x09c\\xc2\\x9b\xc3\xbc\xff|\n"));
    assert_ptr_equal(strchr(written, '\n'), written + written_count - 1);
}

static char long_text[10000];

static void say_a_long_text(void)
{
    report(REPORT_INFO, "%s", long_text);
}

static void long_lines_are_cut_and_say_so(void **state)
{
    (void)state;
    memset(long_text, 'x', sizeof long_text - 1);
    run(say_a_long_text);
    assert_int_equal(written_count, 4096);
    assert_string_equal(written + 4096 - 5, "x...\n");
    memset(long_text, '\n', sizeof long_text - 1);
    run(say_a_long_text);
    assert_true(written_count <= 4096 && written_count > 4080);
    assert_string_equal(written + written_count - 8, "\\x0a...\n");
}

static void say_errno(void)
{
    errno = ENOSPC;
    report(REPORT_ERROR, "write: %m");
    close(STDERR_FILENO);
    report(REPORT_ERROR, "this cannot be written");
    report_usage_error("nor this");
    _exit(errno == ENOSPC ? 0 : 1);
}

static void errno_is_told_and_kept(void **state)
{
    (void)state;
    assert_int_equal(run(say_errno), 0);
    assert_written_matches(": write: No space left on device\n$");
}

static void name_journal_stream(const char *format)
{
    struct stat st;
    char stream[64];
    fstat(STDERR_FILENO, &st);
    snprintf(stream, sizeof stream, format, (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
}

static void say_to_the_journal(void)
{
    name_journal_stream("%llu:%llu");
    report_set_process("worker 2");
    report_set_level(REPORT_DEBUG);
    report(REPORT_ERROR, "a");
    report(REPORT_WARNING, "b");
    report(REPORT_INFO, "c");
    report(REPORT_DEBUG, "d");
}

static void journal_gets_priorities_instead_of_time(void **state)
{
    (void)state;
    run(say_to_the_journal);
    assert_written_matches(
        "^<3>worker 2\\[[0-9]+\\]: a\n<4>worker 2\\[[0-9]+\\]: b\n<6>worker 2\\[[0-9]+\\]: c\n"
        "<7>worker 2\\[[0-9]+\\]: d\n$");
}

static void say_beside_the_journal(void)
{
    name_journal_stream("%llu:1%llu");
    report(REPORT_INFO, "a");
    setenv("JOURNAL_STREAM", "nonsense", 1);
    report(REPORT_INFO, "b");
}

static void journal_that_is_not_stderr_does_not_count(void **state)
{
    (void)state;
    run(say_beside_the_journal);
    assert_written_matches(TIME "info .*: a\n");
    assert_null(strchr(written, '<'));
}

static void give_up(void)
{
    report_fatal(42, "no %s", "memory");
}

static void fatal_says_why_and_exits(void **state)
{
    (void)state;
    assert_int_equal(run(give_up), 42);
    assert_written_matches(TIME "error talead\\[[0-9]+\\]: no memory\n$");
}

static void refuse_to_start(void)
{
    report_usage_error("invalid TALEA_BIND: %s", "x\ny");
}

static void usage_error_is_plain(void **state)
{
    (void)state;
    run(refuse_to_start);
    assert_string_equal(written, "talead: invalid TALEA_BIND: x\\x0ay\n");
}

static void set_a_long_name(void)
{
    char name[500];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    report_set_process(name);
    report(REPORT_INFO, "still here");
}

static void long_process_name_is_cut(void **state)
{
    (void)state;
    run(set_a_long_name);
    assert_written_matches(" n{31}\\[[0-9]+\\]: still here\n$");
}

static void say_to_a_closed_stderr(void)
{
    close(STDERR_FILENO);
    report(REPORT_INFO, "nobody listens");
    report_fatal(3, "nobody listens");
}

static void closed_stderr_stops_nobody(void **state)
{
    (void)state;
    assert_int_equal(run(say_to_a_closed_stderr), 3);
    assert_int_equal(written_count, 0);
}

int main(void)
{
    unsetenv("JOURNAL_STREAM");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_has_time_level_process_and_text),
        cmocka_unit_test(levels_above_the_one_set_are_silent),
        cmocka_unit_test(info_is_the_level_until_set),
        cmocka_unit_test(control_characters_are_escaped),
        cmocka_unit_test(long_lines_are_cut_and_say_so),
        cmocka_unit_test(errno_is_told_and_kept),
        cmocka_unit_test(journal_gets_priorities_instead_of_time),
        cmocka_unit_test(journal_that_is_not_stderr_does_not_count),
        cmocka_unit_test(fatal_says_why_and_exits),
        cmocka_unit_test(usage_error_is_plain),
        cmocka_unit_test(long_process_name_is_cut),
        cmocka_unit_test(closed_stderr_stops_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
